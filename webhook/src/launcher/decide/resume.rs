//! Resumes a request that failed halfway, once an operator has fixed the cause and requested it.

use pgops_api::names::ANNOTATION_RESUME;
use pgops_api::opsrequest::Phase;

use super::release::release;
use crate::launcher::action::Action;
use crate::launcher::state::State;
use crate::launcher::worker::prepare::{PrepareError, rebuild_worker};

/// The request has ended, no worker acts for it any more, and it is to be resumed.
pub fn resume(state: &State) -> Action {
    if state.is_deleted() {
        return release(state);
    }
    if let Some(obstacle) = obstacle(state) {
        return Action::ClearResume {
            rejected: Some(format!("{ANNOTATION_RESUME} has no effect: {obstacle}")),
        };
    }
    match &state.job {
        None => Action::Resume,
        Some(job) if job.metadata.deletion_timestamp.is_some() => Action::Nothing,
        Some(_) => Action::DeleteJob,
    }
}

/// Why the request cannot be resumed. It can as long as the database is paused by it: no other client has
/// changed the database since. Its result, that is its Job and its condition, stays until another Job can be
/// created.
fn obstacle(state: &State) -> Option<String> {
    if state.request.phase() != Phase::Failed {
        return Some("the request has not failed".to_owned());
    }
    let database = state.database_key();
    if !state.is_paused_by_request() {
        return Some(format!("{database} is not paused by this request; create a new request to try again"));
    }
    if !state.needs_rescue() {
        return Some(format!("{database} is being deleted"));
    }
    rebuild_worker(state).err().map(|PrepareError { message, .. }| message)
}
