//! What to do next for one request: a pure function of what was observed.

mod admit;
mod day_two;
mod deleted;
mod finish;
mod held;
mod lost;
mod release;
mod resume;
mod start;
mod supervise;
mod time_limit;

#[cfg(test)]
mod tests;

use pgops_api::opsrequest::Phase;

use super::action::Action;
use super::state::State;

/// The next action for the request.
pub fn next_action(state: &State) -> Action {
    time_limit::limit(state, proceed(state))
}

fn proceed(state: &State) -> Action {
    let request = &state.request;
    if !request.is_executed() || request.phase() == Phase::WaitingForApproval {
        return Action::Nothing;
    }
    if request.phase().is_terminal() {
        return finish::finish(state);
    }
    if request.wants_resume() {
        // It is active. The annotation goes before there is a Job, whose failure it would resume.
        return Action::ClearResume { rejected: None };
    }
    if request.day_two().is_some() {
        return day_two::day_two(state);
    }
    match &state.job {
        Some(job) if job.metadata.deletion_timestamp.is_some() => deleted::deleted(state, job),
        Some(job) => supervise::supervise(state, job),
        None => admit::admit(state),
    }
}
