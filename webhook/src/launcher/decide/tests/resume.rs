use super::next;
use crate::launcher::fixtures::{StateBuilder, jobs, pods};
use pgops_api::opsrequest::Phase;
use rstest::rstest;

fn to_resume() -> StateBuilder {
    StateBuilder::new().failed_and_resume_requested()
}

#[rstest]
#[case::job_failed(to_resume().job(jobs::failed()), "DeleteJob")]
#[case::before_it_released_the_database(to_resume().claimed().job(jobs::complete()), "DeleteJob")]
#[case::job_active(to_resume().job(jobs::active()).pod(pods::running(900)), "Nothing")]
#[case::pod_alive(to_resume().pod(pods::running(900)), "Recheck")]
#[case::job_being_deleted(to_resume().job(jobs::deleted(jobs::failed())), "Nothing")]
#[case::no_job(to_resume(), "Resume")]
#[case::request_deleted(to_resume().claimed().deleted(), "Release")]
fn failed_request_is_resumed_by_a_new_job(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}

#[rstest]
#[case::already_progressing(to_resume().progressing())]
#[case::paused_by_another(StateBuilder::new().phase(Phase::Failed).paused_by("other").resume_requested())]
#[case::database_deleted(to_resume().database_deleted())]
#[case::job_cannot_be_recreated(to_resume().job(jobs::failed()).status_from("13.1"))]
#[case::successful(to_resume().phase(Phase::Successful))]
#[case::not_started(StateBuilder::new().resume_requested())]
fn resume_annotation_without_effect_is_removed(#[case] state: StateBuilder) {
    assert_eq!(next(state), "ClearResume");
}
