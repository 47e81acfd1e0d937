//! The time limit of a request that waits and has not touched its database, whatever it waits for.

use crate::launcher::action::Action;
use crate::launcher::state::State;
use crate::launcher::waiting::{self, JOB_REFUSED, NAME_TAKEN, WRITE_REFUSED};

/// What the API server refuses, and the launcher tries again.
const REFUSALS: [&str; 3] = [JOB_REFUSED, NAME_TAKEN, WRITE_REFUSED];

/// The next action, unless the request has been waiting for its reason for longer than it allows.
pub fn limit(state: &State, next: Action) -> Action {
    let has_begun = state.is_progressing() || state.is_deleted();
    expired(state, &next).filter(|_| !has_begun).unwrap_or(next)
}

fn expired(state: &State, next: &Action) -> Option<Action> {
    let limit = waiting::time_limit(&state.request)?;
    let (reason, message) = match next {
        Action::Wait { reason, message } => (*reason, message.clone()),
        Action::Launch(_) | Action::StartJob | Action::Claim(_) | Action::MarkProgressing => refusal(state)?,
        _ => return None,
    };
    let waited = state.now.duration_since(waiting::since(&state.request, reason)?);
    (waited >= limit).then(|| Action::Fail {
        reason: reason.to_owned(),
        message: format!("{} was not touched: {message}", state.database_key()),
    })
}

/// Why the last attempt was refused.
fn refusal(state: &State) -> Option<(&'static str, String)> {
    let reason = REFUSALS.into_iter().find(|reason| waiting::since(&state.request, reason).is_some())?;
    let message = waiting::of(&state.request).and_then(|waiting| waiting.message.clone());
    Some((reason, message.unwrap_or_default()))
}
