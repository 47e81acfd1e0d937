use super::{describe, next};
use crate::launcher::decide::next_action;
use crate::launcher::fixtures::{StateBuilder, jobs, pods};
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
#[case::active(active().pod(pods::running(600)), "Nothing")]
#[case::active_and_deleted(active().deleted().pod(pods::running(600)), "Nothing")]
#[case::active_and_cancelled(
    active().cancelled().step("4/14 PauseDatabase").pod(pods::running(600)),
    "Nothing"
)]
#[case::cancelled_before_its_pod_started(active().cancelled().pod(pods::waiting(900, "ErrImagePull")), "Withdraw")]
#[case::being_deleted(progressing().job(jobs::deleted(jobs::failed())), "Nothing")]
#[case::between_two_pods(progressing().job(jobs::between_pods()).pod(pods::failed(700, 1, "")), "Nothing")]
#[case::withdrawn(withdrawn(), "Fail")]
#[case::withdrawn_with_a_live_pod(withdrawn().pod(pods::running(800)), "Recheck")]
#[case::withdrawn_too_late(withdrawn().paused_by_request(), "UnsuspendJob")]
fn job_is_supervised_until_it_ends(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::image_missing_briefly(active().pod(pods::waiting(900, "ErrImagePull")), "Recheck")]
#[case::image_missing(active().pod(pods::waiting(800, "ImagePullBackOff")), "Withdraw")]
#[case::image_missing_after_a_start(
    active().step("4/14 PauseDatabase").pod(pods::waiting(800, "ImagePullBackOff")),
    "Warn"
)]
#[case::no_pod(progressing().job(jobs::idle()), "Withdraw")]
#[case::no_pod_after_a_pause(progressing().paused_by_request().job(jobs::idle()), "Warn")]
fn job_whose_pod_cannot_start_is_withdrawn_unless_it_acted(
    #[case] state: StateBuilder,
    #[case] expected: &str,
) {
    assert_eq!(next(state), expected);
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
