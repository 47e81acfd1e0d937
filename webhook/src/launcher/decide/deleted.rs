//! A request whose Job is being deleted: by a user, or when it had ended, because a policy sets `ttlSecondsAfterFinished`.
//!
//! The launcher's finalizer keeps the Job until its result is known, so that one that has ended is not created again.

use k8s_openapi::api::batch::v1::Job;
use pgops_api::Owner;

use super::held;
use super::supervise;
use crate::launcher::action::Action;
use crate::launcher::job_state::{self, JobState};
use crate::launcher::pods::{self, RunnerResult};
use crate::launcher::state::State;

/// The next action for a request that has not ended, and whose Job is being deleted.
pub fn deleted(state: &State, job: &Job) -> Action {
    if let JobState::Complete | JobState::Failed(_) = job_state::of(job) {
        return supervise::supervise(state, job);
    }
    let owner = Owner::of(job);
    let ends = state.pods.iter().filter(|pod| owner.owns(&pod.metadata)).filter_map(pods::runner_end);
    for end in ends {
        match end.result {
            RunnerResult::Completed => return supervise::completed(state),
            RunnerResult::Ended => return supervise::failed(state, "its runner has ended"),
            RunnerResult::Interrupted => {}
        }
    }
    // Its controller replaces no pod any more. The next Job continues.
    held::stop_pods(state).unwrap_or_else(|| release_job(state).unwrap_or(Action::Nothing))
}

/// Lets the Job be deleted; none if it has no finalizer of the launcher.
pub fn release_job(state: &State) -> Option<Action> {
    state.job.as_ref().filter(|job| job_state::has_finalizer(job)).map(|_| Action::ReleaseJob)
}
