use super::{assert_says, next};
use crate::launcher::fixtures::{StateBuilder, UID, jobs};
use pgops_api::opsrequest::{Phase, RequestType};
use rstest::rstest;

const EARLIER: &str = "1970-01-01T00:01:00Z";

fn restart() -> StateBuilder {
    StateBuilder::new().request_type(RequestType::Restart)
}

#[rstest]
#[case::new(restart().no_status(), "Acknowledge")]
#[case::its_turn(restart(), "Claim")]
#[case::claimed(restart().claimed(), "MarkProgressing")]
#[case::claimed_by_another(restart().claimed_by("other", None).phase_of("other", Some(Phase::Pending)), "Wait")]
#[case::another_is_older(restart().other_request("x", EARLIER, Phase::Pending), "Wait")]
#[case::worker_of_another(restart().other_job(jobs::named(jobs::active(), "x", "y")), "Wait")]
#[case::not_ready(restart().database_phase("NotReady"), "Wait")]
#[case::not_ready_for_too_long(
    restart().database_phase("NotReady").timeout("5m").waits("DatabaseNotReady", 100),
    "Fail"
)]
#[case::not_ready_and_always(restart().database_phase("NotReady").apply_always(), "Claim")]
#[case::no_database(restart().no_database(), "Deny")]
#[case::cancelled(restart().claimed().cancelled(), "Fail")]
#[case::deleted(restart().claimed().deleted(), "Release")]
#[case::progressing(restart().progressing().claimed_by(UID, None), "Nothing")]
#[case::progressing_again(restart().progressing().claimed_by(UID, None).waits("Blocked", 900), "StopWaiting")]
#[case::waits_by_the_provisioner(
    restart().progressing().claimed_by(UID, None).waits("PodRefused", 900),
    "Nothing"
)]
#[case::claim_lost(restart().progressing(), "Claim")]
#[case::deleted_while_it_acts(restart().progressing().claimed_by(UID, None).deleted(), "Nothing")]
#[case::no_database_any_more(restart().progressing().no_database(), "Fail")]
#[case::database_is_being_deleted(restart().progressing().claimed_by(UID, None).database_deleted(), "Fail")]
#[case::ended(restart().claimed().phase(Phase::Successful), "Release")]
#[case::released(restart().finalizer().phase(Phase::Failed), "RemoveFinalizer")]
fn launcher_gives_the_database_and_releases_it(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::new(restart().no_status(), "Nothing")]
#[case::pending(restart(), "Nothing")]
#[case::claimed(restart().claimed(), "Fail")]
#[case::progressing(restart().progressing().claimed_by(UID, None), "Fail")]
#[case::deleted(restart().progressing().claimed_by(UID, None).deleted(), "Fail")]
#[case::ended(restart().claimed().phase(Phase::Failed), "Release")]
#[case::upgrade(StateBuilder::new(), "Claim")]
fn request_is_left_to_others_without_the_provisioner(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state.without_provisioner()), expected);
}

#[test]
fn request_that_began_says_why_nothing_executes_it_any_more() {
    let state = restart().progressing().claimed_by(UID, None).without_provisioner();
    assert_says(state, "Fail", "ProvisionerDisabled", "may have changed of demo/orders");
}

#[test]
fn paused_database_is_waited_for() {
    assert_says(restart().paused_by("another"), "Wait", "DatabasePaused", "demo/orders is paused");
}
