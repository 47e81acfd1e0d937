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
#[case::with_an_active_job(ended(Phase::Successful).job(jobs::active()), "Nothing")]
#[case::with_a_withdrawn_job(ended(Phase::Failed).job(jobs::withdrawn()), "RemoveFinalizer")]
#[case::denied_with_its_claim(ended(Phase::Denied).claimed(), "Release")]
#[case::denied_with_a_named_job(ended(Phase::Denied).held_and_named_job(), "Withdraw")]
#[case::denied_with_an_unnamed_job(ended(Phase::Denied).held_job(), "Release")]
fn ended_request_releases_its_database(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}
