//! An injected container keeps the worker's pod alive.

use super::{assert_says, next};
use crate::launcher::fixtures::{StateBuilder, jobs, pods};
use pgops_api::opsrequest::Phase;
use rstest::rstest;

/// Second 1000 is now.
const JUST_NOW: i64 = 995;
const LONG_AGO: i64 = 900;

fn progressing(exit_code: i32, ended: i64) -> StateBuilder {
    StateBuilder::new().progressing().job(jobs::active()).pod(pods::runner_ended(600, exit_code, ended))
}

fn ended(ended: i64) -> StateBuilder {
    StateBuilder::new()
        .finalizer()
        .phase(Phase::Failed)
        .claimed()
        .job(jobs::active())
        .pod(pods::runner_ended(600, 42, ended))
}

#[rstest]
#[case::its_job_may_follow(progressing(0, JUST_NOW).database_version("17.11"), "Recheck")]
#[case::success(progressing(0, LONG_AGO).database_version("17.11"), "Succeed")]
#[case::success_with_another_version(progressing(0, LONG_AGO), "Fail")]
#[case::failure(progressing(42, LONG_AGO), "Fail")]
#[case::killed(progressing(137, LONG_AGO), "EndPods")]
#[case::killed_just_now(progressing(137, JUST_NOW), "Recheck")]
fn request_ends_with_its_runner_and_not_with_its_pod(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::its_job_may_follow(ended(JUST_NOW), "Recheck")]
#[case::it_outlives_its_runner(ended(LONG_AGO), "EndPods")]
#[case::job_is_suspended(ended(LONG_AGO).job(jobs::withdrawn()), "EndPods")]
fn pod_that_outlives_its_request_is_ended(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

/// The kubelet does not shorten the time that a suspended Job has given a pod, so the pod ends before its Job is suspended.
#[test]
fn job_is_suspended_once_its_pod_ends_in_the_shorter_time() {
    let ending = pods::deleted(pods::runner_ended(600, 42, LONG_AGO), 30);
    let state = StateBuilder::new().finalizer().phase(Phase::Failed).claimed().job(jobs::active());
    assert_eq!(next(state.pod(ending)), "Withdraw");
}

/// Another client has deleted it with the time that its spec has: 300 s.
#[rstest]
#[case::with_all_its_time(300, "EndPods")]
#[case::with_the_shorter_time(30, "Recheck")]
fn pod_that_ends_gets_no_more_than_the_shorter_time(#[case] grace: i64, #[case] expected: &str) {
    let pod = pods::deleted(pods::runner_ended(600, 42, LONG_AGO), grace);
    let state = StateBuilder::new().finalizer().phase(Phase::Failed).claimed().job(jobs::withdrawn());
    assert_eq!(next(state.pod(pod)), expected);
}

#[test]
fn pod_of_another_job_says_nothing_about_this_one() {
    let mut pod = pods::runner_ended(600, 42, LONG_AGO);
    pod.metadata.owner_references = None;
    let state = StateBuilder::new().progressing().job(jobs::active()).pod(pod);
    assert_ne!(next(state), "Fail");
}

#[test]
fn failure_of_a_held_pod_says_why() {
    assert_says(progressing(42, LONG_AGO), "Fail", "JobFailed", "another container keeps its pod alive");
}
