use super::{assert_says, describe, next};
use crate::launcher::decide::next_action;
use crate::launcher::fixtures::{StateBuilder, at, events, jobs, pods};
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use rstest::rstest;

fn progressing() -> StateBuilder {
    StateBuilder::new().progressing()
}

fn active() -> StateBuilder {
    progressing().job(jobs::active())
}

fn withdrawn() -> StateBuilder {
    progressing().job(jobs::withdrawn())
}

#[rstest]
#[case::started(StateBuilder::new().finalizer().job(jobs::idle()), "MarkProgressing")]
#[case::active(active().pod(pods::started(600)), "Nothing")]
#[case::active_and_deleted(active().deleted().pod(pods::started(600)), "Nothing")]
#[case::active_and_cancelled(
    active().cancelled().step("4/14 PauseDatabase").pod(pods::started(600)),
    "Nothing"
)]
#[case::cancelled_before_its_pod_started(active().cancelled().pod(pods::waiting(900, "ErrImagePull")), "Withdraw")]
#[case::between_two_pods(progressing().job(jobs::between_pods()).pod(pods::failed(990, 1, "")), "Recheck")]
#[case::between_two_pods_for_long(progressing().job(jobs::between_pods()).pod(pods::failed(700, 1, "")), "Warn")]
#[case::withdrawn(withdrawn(), "Fail")]
#[case::withdrawn_with_a_live_pod(withdrawn().pod(pods::running(800)), "Recheck")]
#[case::withdrawn_too_late(withdrawn().paused_by_request(), "UnsuspendJob")]
fn job_is_supervised_until_it_ends(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::image_missing_briefly(active().pod(pods::waiting(900, "ErrImagePull")), "Warn")]
#[case::image_missing(active().pod(pods::waiting(800, "ImagePullBackOff")), "Withdraw")]
#[case::image_missing_and_a_longer_limit(
    active().timeout("5m").pod(pods::waiting(800, "ImagePullBackOff")),
    "Warn"
)]
#[case::image_missing_after_a_start(
    active().step("4/14 PauseDatabase").pod(pods::waiting(800, "ImagePullBackOff")),
    "Warn"
)]
#[case::no_pod(progressing().job(jobs::idle()), "Warn")]
#[case::no_pod_after_a_pause(progressing().paused_by_request().job(jobs::idle()), "Warn")]
#[case::pod_refused(progressing().job(jobs::idle()).event(events::refused(610)), "Warn")]
#[case::pod_refused_beyond_the_limit(
    progressing().timeout("5m").job(jobs::idle()).event(events::refused(610)),
    "Withdraw"
)]
#[case::pod_refused_and_cancelled(
    progressing().cancelled().job(jobs::idle()).event(events::refused(610)),
    "Withdraw"
)]
#[case::pod_refused_after_a_pause(
    progressing().timeout("5m").paused_by_request().job(jobs::idle()).event(events::refused(610)),
    "Warn"
)]
#[case::volume_not_mounted(active().pod(pods::creating(600, "node-1")).event(not_mounted()), "Warn")]
fn job_whose_pod_cannot_start_is_withdrawn_unless_it_acted(
    #[case] state: StateBuilder,
    #[case] expected: &str,
) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::refused("PodRefused", "StopWaiting")]
#[case::job_refused("JobRefused", "StopWaiting")]
#[case::by_the_runner("ServerStarting", "Nothing")]
fn condition_of_a_wait_is_removed_when_it_is_over(#[case] reason: &str, #[case] expected: &str) {
    assert_eq!(next(active().waits(reason, 700).pod(pods::started(600))), expected);
}

fn not_mounted() -> Event {
    events::warning(980, "FailedAttachVolume", "Multi-Attach error for volume \"pv\"")
}

/// In the outage, the new version's pod waits for the worker, and has the volume that the worker waits for.
#[rstest]
#[case::it_waits(false, "node-1", "FreeVolume")]
#[case::it_serves(true, "node-1", "Warn")]
#[case::on_the_same_node(false, "node-2", "Warn")]
fn server_on_another_node_gives_the_volume_up_unless_it_serves(
    #[case] is_ready: bool,
    #[case] node: &str,
    #[case] expected: &str,
) {
    let state = active().paused_by_request().server_on(node, is_ready);
    assert_eq!(next(state.pod(pods::creating(900, "node-2")).event(not_mounted())), expected);
}

#[test]
fn server_that_alone_keeps_the_volume_does_not_give_it_up() {
    let state = active().paused_by_request().server_on("node-1", false).claim_deleted();
    let state = state.pod(pods::creating(900, "node-2")).event(not_mounted());
    let words = "node node-1, and is not deleted: PersistentVolumeClaim data-orders-0 is being deleted";
    assert_says(state, "Warn", "VolumeNotMounted", words);
}

#[rstest]
#[case::serves(true, "pod orders-0 has the volume on node node-1: if that node takes no pods, uncordon it")]
#[case::does_not_serve(false, "pod orders-0 has the volume on node node-1")]
fn worker_that_waits_for_the_servers_volume_says_where_it_is(#[case] is_ready: bool, #[case] part: &str) {
    let state = active().server_on("node-1", is_ready);
    let state = state.pod(pods::creating(900, "node-2")).event(not_mounted());
    assert_says(state, "Warn", "VolumeNotMounted", part);
}

#[rstest]
#[case::runs(active().pod(pods::on_lost_node(pods::started(600))))]
#[case::was_to_end(active().pod(pods::deleted(pods::creating(600, "node-1"), 30)))]
#[case::its_job_was_deleted(progressing().pod(pods::on_lost_node(pods::started(600))))]
#[case::its_next_job_is_held(
    StateBuilder::new().held_and_named_job().pod(pods::on_lost_node(pods::started(600)))
)]
fn worker_whose_node_does_not_report_is_told_and_not_replaced(#[case] state: StateBuilder) {
    assert_says(state, "Warn", "WorkerLost", "out-of-service");
}

#[rstest]
#[case::returned(pods::started(600), "StopWaiting")]
#[case::still_lost(pods::on_lost_node(pods::started(600)), "Warn")]
fn worker_whose_node_reports_again_continues(#[case] pod: Pod, #[case] expected: &str) {
    assert_eq!(next(active().waits("WorkerLost", 700).pod(pod)), expected);
}

#[test]
fn worker_that_is_being_deleted_is_checked_again() {
    let mut pod = pods::deleted(pods::started(600), 300);
    pod.metadata.deletion_timestamp = Some(Time(at(1200)));
    assert_eq!(next(active().pod(pod)), "Recheck");
}

#[test]
fn server_of_a_database_that_is_not_paused_keeps_the_volume() {
    let state = active().server_on("node-1", false);
    assert_eq!(next(state.pod(pods::creating(900, "node-2")).event(not_mounted())), "Warn");
}

#[rstest]
#[case::version_unchanged(progressing(), "Fail")]
#[case::version_reached(progressing().database_version("17.11"), "Succeed")]
#[case::version_reached_but_paused(progressing().paused_by_request().database_version("17.11"), "Fail")]
fn completed_job_succeeds_only_with_the_target_version(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state.job(jobs::complete())), expected);
}

#[test]
fn failed_job_reports_its_cause_and_who_paused_the_database() {
    let failed = || progressing().job(jobs::failed()).pod(pods::failed(700, 1, "no space left on device"));
    let (_, text) = describe(&next_action(&failed().build()));
    assert!(text.starts_with("JobFailed: job orders-17-3f9c21aa failed (Why: because); "), "{text}");
    assert!(text.contains("no space left on device"), "{text}");
    assert!(text.ends_with("demo/orders is not paused by this request"), "{text}");
    let (_, text) = describe(&next_action(&failed().paused_by_request().build()));
    let command = "resume with: kubectl annotate pgops orders-17 -n demo pgops.dev/carry-on=true";
    assert!(text.contains("still paused by this request.") && text.contains(command), "{text}");
}

#[test]
fn image_that_cannot_be_staged_leaves_the_database_untouched() {
    let pod = pods::failed_to_stage(700, 42, "failed to find PostgreSQL 13");
    let failed = || progressing().job(jobs::failed()).pod(pod.clone());
    let (_, text) = describe(&next_action(&failed().build()));
    assert!(text.starts_with("WorkerFailed: demo/orders was not touched: container stage of pod "), "{text}");
    assert!(text.ends_with("failed to find PostgreSQL 13"), "{text}");
    // A later pod of an upgrade that had started.
    let (_, text) = describe(&next_action(&failed().paused_by_request().build()));
    assert!(text.starts_with("JobFailed: "), "{text}");
}
