//! A request for a day-two operation: the launcher gives it the database when it is its turn, and releases it when the request has
//! ended. The provisioner executes it in between, and only while the claim names it; there is no Job.

use super::admit::{BY_ANNOTATION, cancelled, repeat_admission};
use super::release::release;
use crate::launcher::action::Action;
use crate::launcher::claim::{self, ClaimStatus};
use crate::launcher::job_state::Withdrawal;
use crate::launcher::state::{State, has_finalizer};
use crate::launcher::waiting::{self, BLOCKED, WRITE_REFUSED};

/// The next action for a request that has not ended.
pub fn day_two(state: &State) -> Action {
    if !state.executed.includes(state.request.spec.type_) {
        return end_without_provisioner(state);
    }
    if state.is_progressing() {
        return supervise(state);
    }
    if state.is_deleted() {
        return release(state);
    }
    if state.request.is_cancelled() {
        let Withdrawal { reason, message } = cancelled(BY_ANNOTATION);
        let message = format!("{} was not touched: {message}", state.database_key());
        return Action::Fail { reason, message };
    }
    if let Err(instead) = repeat_admission(state) {
        return instead;
    }
    match claim::status(state) {
        ClaimStatus::Ours => Action::MarkProgressing,
        ClaimStatus::Free => Action::Claim(claim::of(&state.request, None)),
        ClaimStatus::Taken(message) => Action::Wait { reason: BLOCKED, message },
    }
}

/// Nothing executes it: pgops was installed without its provisioner after it had begun. It must neither hold the queue nor its own
/// deletion.
fn end_without_provisioner(state: &State) -> Action {
    if !has_finalizer(&state.request) {
        return Action::Nothing;
    }
    let database = state.database_key();
    let what = if state.is_progressing() {
        format!("its steps say what it may have changed of {database}")
    } else {
        format!("{database} was not touched")
    };
    let message = format!(
        "nothing executes requests of type {} any more: pgops was installed without its provisioner (provisioner.enabled: \
         false) since this one began; {what}",
        state.request.spec.type_
    );
    Action::Fail { reason: "ProvisionerDisabled".to_owned(), message }
}

/// The provisioner executes it. One that is deleted or cancelled meanwhile is ended by the provisioner, which knows how far it
/// is, unless there is no database any more.
fn supervise(state: &State) -> Action {
    let is_deleted =
        state.database.as_ref().is_none_or(|database| database.metadata.deletion_timestamp.is_some());
    if is_deleted {
        let message = format!("{} no longer exists, or is being deleted", state.database_key());
        return Action::Fail { reason: "DatabaseNotFound".to_owned(), message };
    }
    // The provisioner waits too, for what keeps the pod from starting.
    let waits =
        [BLOCKED, WRITE_REFUSED].iter().any(|reason| waiting::since(&state.request, reason).is_some());
    match claim::status(state) {
        ClaimStatus::Ours if waits => Action::StopWaiting,
        ClaimStatus::Ours => Action::Nothing,
        // A user has removed it.
        ClaimStatus::Free => Action::Claim(claim::of(&state.request, None)),
        ClaimStatus::Taken(message) => Action::Warn { reason: BLOCKED, message },
    }
}
