//! The Job is being deleted, by a user or by a policy that sets `ttlSecondsAfterFinished`.

use super::next;
use crate::launcher::fixtures::{StateBuilder, jobs, pods};
use k8s_openapi::api::batch::v1::Job;
use pgops_api::opsrequest::Phase;
use rstest::rstest;

fn deleted(job: Job) -> StateBuilder {
    StateBuilder::new().progressing().job(jobs::deleted(jobs::with_finalizer(job)))
}

#[rstest]
#[case::failed(deleted(jobs::failed()), "Fail")]
#[case::complete(deleted(jobs::complete()).database_version("17.11"), "Succeed")]
#[case::complete_with_another_version(deleted(jobs::complete()), "Fail")]
#[case::runner_failed(deleted(jobs::active()).pod(pods::failed(900, 42, "why")), "Fail")]
fn job_that_has_ended_is_judged_and_not_created_again(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::its_pod_runs(deleted(jobs::active()).pod(pods::running(900)), "EndPods")]
#[case::its_pod_ends(deleted(jobs::active()).pod(pods::deleted(pods::running(900), 300)), "Recheck")]
#[case::its_pod_was_killed(deleted(jobs::active()).pod(pods::failed(900, 137, "")), "ReleaseJob")]
#[case::without_pods(deleted(jobs::active()), "ReleaseJob")]
#[case::never_started(deleted(jobs::held()), "ReleaseJob")]
#[case::of_an_earlier_version(StateBuilder::new().progressing().job(jobs::deleted(jobs::active())), "Nothing")]
fn job_that_has_not_ended_makes_way_for_the_next(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::failed(Phase::Failed, jobs::failed())]
#[case::successful(Phase::Successful, jobs::complete())]
#[case::being_deleted(Phase::Failed, jobs::deleted(jobs::failed()))]
fn job_is_released_once_its_result_is_recorded(#[case] phase: Phase, #[case] job: Job) {
    let state = || StateBuilder::new().finalizer().phase(phase).claimed();
    assert_eq!(next(state().job(jobs::with_finalizer(job.clone()))), "ReleaseJob");
    assert_eq!(next(state().job(job)), "Release");
}

#[test]
fn job_is_released_before_its_request_is_resumed() {
    let state = StateBuilder::new().failed_and_resume_requested().job(jobs::with_finalizer(jobs::failed()));
    assert_eq!(next(state), "ReleaseJob");
}
