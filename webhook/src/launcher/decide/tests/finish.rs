use super::next;
use crate::launcher::fixtures::{StateBuilder, jobs, pods};
use pgops_api::opsrequest::Phase;
use rstest::rstest;

fn ended(phase: Phase) -> StateBuilder {
    StateBuilder::new().finalizer().phase(phase)
}

#[rstest]
#[case::with_finalizer(ended(Phase::Successful), "RemoveFinalizer")]
#[case::with_its_job(ended(Phase::Failed).job(jobs::failed()), "RemoveFinalizer")]
#[case::with_its_claim(ended(Phase::Successful).claimed(), "Release")]
#[case::claimed_by_the_next(ended(Phase::Successful).claimed_by("next", None), "RemoveFinalizer")]
#[case::with_a_live_pod(ended(Phase::Failed).claimed().pod(pods::running(900)), "Recheck")]
#[case::deleted_with_a_pod_that_never_ends(
    ended(Phase::Failed).claimed().deleted().pod(pods::running(900)),
    "RemoveFinalizer"
)]
#[case::with_an_active_job(ended(Phase::Successful).job(jobs::active()).pod(pods::running(900)), "Nothing")]
#[case::with_a_job_that_is_about_to_fail(
    ended(Phase::Failed).job(jobs::active()).pod(pods::failed(900, 42, "ended")),
    "Nothing"
)]
#[case::with_a_job_whose_pod_was_lost(
    ended(Phase::Failed).job(jobs::between_pods()).pod(pods::failed(900, 1, "evicted")),
    "Withdraw"
)]
#[case::with_a_job_whose_pod_cannot_start(
    ended(Phase::Failed).job(jobs::active()).pod(pods::waiting(900, "ContainerCreating")),
    "Withdraw"
)]
#[case::with_a_withdrawn_job(ended(Phase::Failed).job(jobs::withdrawn()), "RemoveFinalizer")]
#[case::denied_with_its_claim(ended(Phase::Denied).claimed(), "Release")]
#[case::denied_with_a_named_job(ended(Phase::Denied).held_and_named_job(), "Withdraw")]
#[case::denied_with_an_unnamed_job(ended(Phase::Denied).held_job(), "Release")]
fn ended_request_releases_its_database(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

// Whatever its Job and its pods do: one that hangs would have them forever.
#[rstest]
#[case::while_its_runner_exits(ended(Phase::Successful).job(jobs::active()).pod(pods::running(900)))]
#[case::after_its_job(ended(Phase::Failed).claimed().job(jobs::failed()))]
#[case::although_it_is_to_be_resumed(StateBuilder::new().failed_and_resume_requested().job(jobs::failed()))]
#[case::although_it_is_deleted(ended(Phase::Failed).deleted())]
fn rights_end_with_the_request(#[case] state: StateBuilder) {
    assert_eq!(next(state.rights()), "Revoke");
}

#[rstest]
#[case::while_its_job_is_active(StateBuilder::new().progressing().job(jobs::active()).pod(pods::running(900)))]
#[case::while_its_job_is_recreated(StateBuilder::new().progressing().claimed())]
fn rights_stay_until_the_request_has_ended(#[case] state: StateBuilder) {
    assert_ne!(next(state.rights()), "Revoke");
}
