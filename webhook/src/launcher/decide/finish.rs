//! A request that has ended.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::SignedDuration;

use super::deleted::release_job;
use super::held;
use super::release::release;
use super::resume::resume;
use crate::launcher::action::{Action, RECHECK_INTERVAL};
use crate::launcher::claim;
use crate::launcher::job_state::{self, JobState, Withdrawal};
use crate::launcher::pods;
use crate::launcher::state::{State, has_finalizer};

/// Removes claim and finalizer of a request that has ended as soon as no Job can act for it any more, unless
/// it is to be resumed.
pub fn finish(state: &State) -> Action {
    let wants_resume = state.request.wants_resume();
    if !wants_resume && !has_finalizer(&state.request) {
        return Action::Nothing;
    }
    // Before everything else, so that no Job is resumed with the rights of the previous one.
    if state.rights.exist() {
        return Action::Revoke;
    }
    if let Some(action) = wait_for_worker(state) {
        return action;
    }
    // The result is recorded.
    if let Some(action) = release_job(state) {
        return action;
    }
    if wants_resume { resume(state) } else { release(state) }
}

/// What to do while the request's Job or a pod of it may still act; none if neither can.
fn wait_for_worker(state: &State) -> Option<Action> {
    if let Some(job) = &state.job {
        match job_state::of(job) {
            JobState::Active if held::runner_end(state, job).is_some() => {
                return Some(end_with_runner(state, job));
            }
            JobState::Active if pods::end_their_job(&state.pods) => return Some(Action::Nothing),
            // Its pod was lost when the request had ended already. Without rights no other can start, so that the Job would
            // never end, and with it the wait of the next request.
            JobState::Active => return Some(withdraw()),
            // A launcher that saw the claim name it may be about to start it: changing the Job prevents that.
            JobState::Held if claim::names_job(state, job) => return Some(withdraw()),
            JobState::Held | JobState::Withdrawn(_) | JobState::Complete | JobState::Failed(_) => {}
        }
    }
    if let Some(action) = held::end_held_pods(state) {
        return Some(action);
    }
    // The next request must not start alongside them. A request that is being deleted goes anyway: its
    // claim is taken over when they have ended.
    (state.has_live_pods() && !state.is_deleted()).then_some(Action::Recheck(RECHECK_INTERVAL))
}

/// The runner has ended, its pod has not: a Job that is suspended replaces no pod. It would give the pod all the time that
/// its spec has, which the kubelet does not shorten once a container ignores SIGTERM: so the pod ends first.
fn end_with_runner(state: &State, job: &Job) -> Action {
    let left = held::runner_end(state, job).map(|end| held::time_left(state, end));
    match left.filter(SignedDuration::is_positive) {
        Some(left) => Action::Recheck(left),
        None => held::end_held_pods(state).unwrap_or_else(withdraw),
    }
}

fn withdraw() -> Action {
    Action::Withdraw(Withdrawal { reason: "Ended".to_owned(), message: "the request has ended".to_owned() })
}
