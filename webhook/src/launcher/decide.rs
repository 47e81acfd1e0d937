//! What to do next for one request: a pure function of what was observed.

mod admit;
mod deleted;
mod finish;
mod held;
mod release;
mod resume;
mod start;
mod supervise;

#[cfg(test)]
mod tests;

use pgops_api::opsrequest::Phase;

use super::action::Action;
use super::state::State;

/// The next action for the request.
pub fn next_action(state: &State) -> Action {
    let request = &state.request;
    if !request.updates_version() || request.phase() == Phase::WaitingForApproval {
        return Action::Nothing;
    }
    if request.phase().is_terminal() {
        return finish::finish(state);
    }
    if request.wants_resume() {
        // It is active. The annotation goes before there is a Job, whose failure it would resume.
        return Action::ClearResume { rejected: None };
    }
    match &state.job {
        Some(job) if job.metadata.deletion_timestamp.is_some() => deleted::deleted(state, job),
        Some(job) => supervise::supervise(state, job),
        None => admit::admit(state),
    }
}
