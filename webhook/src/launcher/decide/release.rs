//! How a request leaves its database.

use crate::launcher::action::Action;
use crate::launcher::claim;
use crate::launcher::state::{State, has_finalizer};

/// A request that will have no Job, or has ended, first releases the database, then may be deleted itself.
pub fn release(state: &State) -> Action {
    if claim::is_held_by_request(state) && !state.has_live_pods() {
        return Action::Release;
    }
    if has_finalizer(&state.request) { Action::RemoveFinalizer } else { Action::Nothing }
}
