use super::{assert_says, describe, next};
use crate::launcher::action::Action;
use crate::launcher::decide::next_action;
use crate::launcher::fixtures::{StateBuilder, at, jobs, pods};
use pgops_api::PgVersion;
use pgops_api::opsrequest::Phase;
use rstest::rstest;

const EARLIER: &str = "1970-01-01T00:01:00Z";
const SAME_SECOND: &str = "1970-01-01T00:01:40Z";
const LATER: &str = "1970-01-01T00:09:00Z";

#[rstest]
#[case::new(StateBuilder::new().no_status(), "Acknowledge")]
#[case::version_changed_meanwhile(StateBuilder::new().status_from("13.10"), "Acknowledge")]
#[case::admitted(StateBuilder::new(), "Claim")]
#[case::admitted_in_the_deprecated_form(StateBuilder::new().deprecated_form(), "Claim")]
#[case::approved(StateBuilder::new().phase(Phase::Approved), "Claim")]
#[case::finalizer_of_a_leader_that_died(StateBuilder::new().finalizer(), "Claim")]
#[case::claimed(StateBuilder::new().claimed(), "Launch")]
#[case::claimed_by_a_deleted_request(StateBuilder::new().claimed_by("deleted", Some("its-job")), "Claim")]
#[case::claimed_by_another(
    StateBuilder::new().claimed_by("other", None).phase_of("other", Some(Phase::Pending)),
    "Wait"
)]
#[case::claimed_and_denied(StateBuilder::new().claimed().no_workload(), "Deny")]
#[case::cancelled(StateBuilder::new().cancelled(), "Fail")]
#[case::cancelled_when_claimed(StateBuilder::new().claimed().cancelled(), "Fail")]
#[case::refused(StateBuilder::new().claimed().waits("JobRefused", 100), "Launch")]
#[case::refused_within_the_limit(StateBuilder::new().claimed().timeout("5m").waits("JobRefused", 900), "Launch")]
#[case::refused_beyond_the_limit(StateBuilder::new().claimed().timeout("5m").waits("JobRefused", 700), "Fail")]
#[case::its_turn_beyond_the_limit(StateBuilder::new().timeout("5m").waits("Blocked", 100), "Claim")]
#[case::name_taken_beyond_the_limit(StateBuilder::new().claimed().timeout("5m").waits("NameTaken", 100), "Fail")]
#[case::write_refused_beyond_the_limit(StateBuilder::new().timeout("5m").waits("WriteRefused", 100), "Fail")]
#[case::deleted(StateBuilder::new().deleted(), "Nothing")]
#[case::deleted_with_finalizer(StateBuilder::new().finalizer().deleted(), "RemoveFinalizer")]
#[case::deleted_when_claimed(StateBuilder::new().claimed().deleted(), "Release")]
fn pending_request_claims_its_database_then_launches(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::within_the_limit(blocked().timeout("5m").waits("Blocked", 800), "Wait")]
#[case::beyond_it(blocked().timeout("5m").waits("Blocked", 600), "Fail")]
#[case::for_another_reason_until_now(blocked().timeout("5m").waits("VolumeAtRisk", 100), "Wait")]
#[case::without_a_limit(blocked().waits("Blocked", 100), "Wait")]
#[case::while_it_runs(blocked().progressing().timeout("5m").waits("Blocked", 100), "Wait")]
fn request_waits_for_another_as_long_as_it_allows(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

fn blocked() -> StateBuilder {
    StateBuilder::new().claimed_by("other", None).phase_of("other", Some(Phase::Pending))
}

#[test]
fn request_that_has_waited_for_too_long_says_for_what() {
    let state = blocked().timeout("5m").waits("Blocked", 100);
    assert_says(state, "Fail", "Blocked", "demo/orders was not touched: waiting for PostgresOpsRequest any");
}

#[rstest]
#[case::pods_remain(StateBuilder::new().progressing().pod(pods::running(900)), "Recheck")]
#[case::cancelled(StateBuilder::new().claimed().progressing().cancelled(), "Launch")]
#[case::claimed(StateBuilder::new().claimed().progressing(), "Launch")]
#[case::claim_lost(StateBuilder::new().progressing(), "Claim")]
#[case::with_the_request(StateBuilder::new().progressing().deleted(), "RemoveFinalizer")]
#[case::with_the_request_while_paused(
    StateBuilder::new().claimed().progressing().deleted().paused_by_request(),
    "Launch"
)]
#[case::with_request_and_database(
    StateBuilder::new().progressing().deleted().paused_by_request().database_deleted(),
    "RemoveFinalizer"
)]
#[case::database_no_longer_exists(StateBuilder::new().progressing().no_database(), "Fail")]
fn deleted_job_is_recreated_while_it_is_needed(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::no_database(StateBuilder::new().no_database(), "DatabaseNotFound", "demo/orders")]
#[case::downgrade(
    StateBuilder::new().database_version("17.11").status_from("17.11").target_version("13.23"),
    "Downgrade",
    "upgrade from version 17.11 to 13.23 is not supported"
)]
#[case::foreign(StateBuilder::new().no_workload(), "NotProvisioned", "StatefulSet demo/orders does not exist")]
#[case::not_its_own(
    StateBuilder::new().foreign_workload(),
    "NotProvisioned",
    "StatefulSet orders does not belong to Postgres orders (uid db)"
)]
#[case::claim_terminating(
    StateBuilder::new().claim_deleted(),
    "VolumeAtRisk",
    "PersistentVolumeClaim data-orders-0 is being deleted"
)]
#[case::claim_missing(StateBuilder::new().no_claim(), "VolumeAtRisk", "data-orders-0 does not exist")]
fn denial_says_why(#[case] state: StateBuilder, #[case] reason: &str, #[case] part: &str) {
    assert_says(state, "Deny", reason, part);
}

#[rstest]
#[case::not_ready(StateBuilder::new().database_phase("NotReady"), "DatabaseNotReady", "NotReady")]
#[case::paused_by_another(StateBuilder::new().paused_by("other"), "DatabasePaused", "uid other")]
#[case::older(
    StateBuilder::new().other_request("first", EARLIER, Phase::Pending),
    "Blocked",
    "first (Pending)"
)]
#[case::same_second_first_name(
    StateBuilder::new().other_request("a", SAME_SECOND, Phase::Pending),
    "Blocked",
    "PostgresOpsRequest a "
)]
#[case::younger_that_holds_the_database(
    StateBuilder::new().other_request("late", LATER, Phase::Pending).claimed_by("late", None),
    "Blocked",
    "late (Pending)"
)]
#[case::job_of_a_deleted_request(
    StateBuilder::new().other_job(jobs::named(jobs::active(), "deleted-77", "x")),
    "Blocked",
    "job deleted-77 on demo/orders"
)]
#[case::younger_that_is_running(
    StateBuilder::new().other_request("late", LATER, Phase::Progressing),
    "Blocked",
    "late (Progressing)"
)]
#[case::claims_deleted_by_scaling(StateBuilder::new().when_scaled("Delete"), "VolumeAtRisk", "whenScaled Delete")]
fn waiting_request_names_its_blocker(#[case] state: StateBuilder, #[case] reason: &str, #[case] part: &str) {
    assert_says(state, "Wait", reason, part);
}

#[rstest]
#[case::before_it_holds_the_database(StateBuilder::new().restart_blocked(), "Wait")]
#[case::before_its_job(StateBuilder::new().claimed().restart_blocked(), "Wait")]
#[case::within_the_limit(StateBuilder::new().restart_blocked().timeout("5m").waits("RestartBlocked", 900), "Wait")]
#[case::beyond_the_limit(StateBuilder::new().restart_blocked().timeout("5m").waits("RestartBlocked", 700), "Fail")]
#[case::dry_run(StateBuilder::new().dry_run().restart_blocked(), "Claim")]
#[case::overridden(StateBuilder::new().restart_blocked().guards_overridden(), "Claim")]
#[case::without_a_provisioner(StateBuilder::new().restart_blocked().without_provisioner(), "Claim")]
#[case::once_its_job_exists(StateBuilder::new().held_and_named_job().restart_blocked(), "StartJob")]
#[case::corrected(StateBuilder::new().waits("RestartBlocked", 900), "Claim")]
fn upgrade_waits_while_the_server_could_not_be_started_again(
    #[case] state: StateBuilder,
    #[case] expected: &str,
) {
    assert_eq!(next(state), expected);
}

#[test]
fn upgrade_that_waits_for_the_next_pod_says_who_refuses_it() {
    let words = "demo/orders could not start its server again: the API server would refuse the next pod";
    assert_says(StateBuilder::new().restart_blocked(), "Wait", "RestartBlocked", words);
}

/// The request waited while another one brought the database to its target.
#[rstest]
#[case::to_the_same_image(at_target("postgres:17.11").fulfilled_by("first"), "Succeed")]
#[case::to_an_image_that_the_catalog_has_replaced(at_target("old/17.11").fulfilled_by("first"), "Acknowledge")]
#[case::by_no_request_since(at_target("postgres:17.11"), "Acknowledge")]
#[case::and_left_since(StateBuilder::new().fulfilled_by("first"), "Claim")]
fn queued_request_ends_if_the_database_has_its_target(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[test]
fn queued_request_ends_if_a_webhook_has_rewritten_the_image_of_its_target() {
    let state =
        at_target("mirror/17.11").fulfilled_by("first").stored_image("postgres:17.11", "mirror/17.11");
    assert_eq!(next(state), "Succeed");
}

/// Its present image is the new one, as a webhook has rewritten it, and not another old one.
#[test]
fn recreated_job_of_a_rewritten_workload_sets_what_the_api_server_stores() {
    let state = StateBuilder::new().claimed().progressing();
    let state = state.server_image("mirror/17.11").stored_image("postgres:17.11", "mirror/17.11");
    let state = state.stored_image("postgres:13.16", "mirror/13.16").build();
    let Action::Launch(worker) = next_action(&state) else { panic!("no launch") };
    assert_eq!(
        (worker.plan.from.image.as_str(), worker.plan.to.image.as_str()),
        ("mirror/13.16", "mirror/17.11")
    );
}

fn at_target(image: &str) -> StateBuilder {
    StateBuilder::new().database_version("17.11").server_image(image)
}

#[test]
fn younger_pending_request_does_not_block() {
    assert_eq!(next(StateBuilder::new().other_request("late", LATER, Phase::Pending)), "Claim");
}

#[test]
fn apply_always_proceeds_with_a_database_that_is_not_ready() {
    assert_eq!(next(StateBuilder::new().database_phase("NotReady").apply_always()), "Claim");
}

#[test]
fn recreated_job_starts_from_the_version_the_request_began_with() {
    let state = StateBuilder::new().claimed().progressing();
    let state = state.database_version("17.11").server_image("postgres:17.11").build();
    let Action::Launch(worker) = next_action(&state) else { panic!("no launch") };
    assert_eq!(worker.plan.from.name, "13.16");
    assert_eq!(worker.plan.from.image, "postgres:13.16");
    assert_eq!(worker.plan.to.pg_version().unwrap(), PgVersion { major: 17, minor: 11 });
}

#[test]
fn job_that_cannot_be_recreated_is_a_warning_and_not_the_end() {
    let state = StateBuilder::new().progressing().status_from("13.1").build();
    let (name, text) = describe(&next_action(&state));
    assert_eq!(name, "Warn");
    assert!(text.contains("PostgresVersion \"13.1\""), "{text}");
}

#[test]
fn apply_always_does_not_proceed_with_a_foreign_workload() {
    let state = StateBuilder::new().database_phase("NotReady").apply_always().foreign_workload();
    assert_says(state, "Deny", "NotProvisioned", "does not belong to Postgres orders");
}

#[test]
fn job_is_not_recreated_for_a_foreign_workload() {
    let state = StateBuilder::new().claimed().progressing().foreign_workload();
    assert_says(state, "Warn", "NotProvisioned", "does not belong to Postgres orders");
}

#[test]
fn upgrade_proceeds_if_claims_are_retained() {
    assert_eq!(next(StateBuilder::new().when_scaled("Retain")), "Claim");
}

#[test]
fn equal_states_give_equal_workers() {
    let state = StateBuilder::new().claimed().build();
    assert_eq!(next_action(&state), next_action(&state));
    assert_eq!(describe(&next_action(&state)).0, "Launch");
}

#[test]
fn request_without_status_is_acknowledged_with_the_databases_version() {
    let state = StateBuilder::new().empty_status().build();
    assert_eq!(next_action(&state), Action::Acknowledge { from: "13.16".into() });
    assert_eq!(state.now, at(1000));
}
