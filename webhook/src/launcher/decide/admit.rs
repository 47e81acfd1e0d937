//! From a stored request to a Job that works: whose turn it is, and whether the request is still admitted.
//!
//! Claim, Job, the Job's name in the claim, start: one write each, and each is decided from scratch. Before
//! the claim comes the order of creation, see [`queue`].

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use pgops_api::ExecutedRequests;
use pgops_api::admission::{self, Admitted, AdmittedUpgrade, Denial, Facts};
use pgops_api::plan::Scope;

use super::lost;
use super::release::release;
use crate::launcher::action::Action;
use crate::launcher::claim::{self, ClaimStatus};
use crate::launcher::job_state::Withdrawal;
use crate::launcher::queue;
use crate::launcher::state::State;
use crate::launcher::waiting::{BLOCKED, RESTART_BLOCKED, VOLUME_AT_RISK};
use crate::launcher::worker::Worker;
use crate::launcher::worker::prepare::{PrepareError, new_worker, rebuild_worker, server_image};

/// How a request that is not deleted is cancelled.
pub const BY_ANNOTATION: &str = "was cancelled by its annotation pgops.dev/cancel";

/// The request has no Job.
pub fn admit(state: &State) -> Action {
    // A second worker must not start while the first one's pod may still act.
    if state.has_live_pods() {
        return lost::wait_for_pods(state);
    }
    // A database that is paused for the request needs a worker, which completes the upgrade or rolls it back.
    if state.is_deleted() && !(state.is_progressing() && state.needs_rescue()) {
        return release(state);
    }
    let worker = if state.is_progressing() { recreated(state) } else { created(state) };
    let worker = match worker {
        Ok(worker) => worker,
        Err(instead) => return instead,
    };
    match claim::status(state) {
        ClaimStatus::Ours => Action::Launch(Box::new(worker)),
        ClaimStatus::Free => Action::Claim(claim::of(&state.request, None)),
        ClaimStatus::Taken(message) => Action::Wait { reason: BLOCKED, message },
    }
}

/// The request has a Job, which was never started.
pub fn start(state: &State, job: &Job) -> Action {
    // Pods of an earlier Job of that name, which a user deleted.
    if state.has_live_pods() {
        return lost::wait_for_pods(state);
    }
    if !state.is_progressing() {
        if state.is_deleted() {
            return Action::Withdraw(cancelled("was deleted"));
        }
        if state.request.is_cancelled() {
            return Action::Withdraw(cancelled(BY_ANNOTATION));
        }
        if let Err(instead) = admitted_upgrade(state) {
            return instead;
        }
    }
    match claim::status(state) {
        ClaimStatus::Ours if claim::names_job(state, job) => Action::StartJob,
        ClaimStatus::Ours | ClaimStatus::Free => Action::Claim(claim::of(&state.request, Some(job))),
        ClaimStatus::Taken(message) => Action::Wait { reason: BLOCKED, message },
    }
}

/// Why a Job that has done nothing is withdrawn.
pub fn cancelled(how: &str) -> Withdrawal {
    Withdrawal {
        reason: "Cancelled".to_owned(),
        message: format!("the request {how} before its Job started"),
    }
}

/// The worker of a request whose Job was deleted, or what to do instead.
fn recreated(state: &State) -> Result<Worker, Action> {
    if state.database.is_none() {
        let message = format!("{} and the Job of this request no longer exist", state.database_key());
        return Err(Action::Fail { reason: "DatabaseNotFound".to_owned(), message });
    }
    rebuild_worker(state).map_err(|PrepareError { reason, message }| Action::Warn { reason, message })
}

/// The worker of a request that has not started, or what to do instead.
fn created(state: &State) -> Result<Worker, Action> {
    if state.request.is_cancelled() {
        let Withdrawal { reason, message } = cancelled(BY_ANNOTATION);
        let message = format!("{} was not touched: {message}", state.database_key());
        return Err(Action::Fail { reason, message });
    }
    if let Some(fulfilled) = fulfilled(state) {
        return Err(fulfilled);
    }
    let upgrade = admitted_upgrade(state)?;
    let worker = new_worker(state, upgrade)
        .map_err(|PrepareError { reason, message }| Action::Deny { reason, message })?;
    if let Some(risk) = state.storage_risk() {
        let message = format!("an upgrade of {} may lose its volume: {risk}", state.database_key());
        return Err(if risk.is_transient() {
            Action::Wait { reason: VOLUME_AT_RISK, message }
        } else {
            Action::Deny { reason: VOLUME_AT_RISK, message }
        });
    }
    match restart_blocked(state) {
        Some(message) => Err(Action::Wait { reason: RESTART_BLOCKED, message }),
        None => Ok(worker),
    }
}

/// What would keep the pod from starting again that the upgrade stops, as the provisioner has found out. A dry run reports it.
fn restart_blocked(state: &State) -> Option<String> {
    // Without a provisioner the condition is an old one.
    let is_known = state.executed == ExecutedRequests::All && state.request.scope() == Scope::Upgrade;
    let why = state.database.as_ref().filter(|_| is_known)?.restart_blocked()?;
    Some(format!("an upgrade of {} could not start its server again: {why}", state.database_key()))
}

/// Another request has brought the database to this request's target while it waited.
fn fulfilled(state: &State) -> Option<Action> {
    let other = state.fulfilled_by.as_ref()?;
    let database = state.database.as_ref()?;
    // The catalog may name another image since, which this request was made to roll out.
    let image = state.catalog.get(state.request.target()?)?.version_ref.image.as_str();
    let has_target = state.request.target() == Some(database.spec.version.as_str());
    (has_target && server_image(state) == Some(state.stored_image(image))).then(|| Action::Succeed {
        message: format!(
            "{} has version {} by PostgresOpsRequest {other}, which ended while this one waited: nothing was done, and \
             the server was not restarted",
            state.database_key(),
            database.spec.version
        ),
    })
}

/// The upgrade of a request whose turn it is, or what to do instead.
fn admitted_upgrade(state: &State) -> Result<AdmittedUpgrade, Action> {
    repeat_admission(state)?.upgrade.ok_or(Action::Nothing)
}

/// Repeats the decision of admission when it is the request's turn; or what to do instead.
pub fn repeat_admission(state: &State) -> Result<Admitted, Action> {
    if let Some(from) = unacknowledged_version(state) {
        return Err(Action::Acknowledge { from });
    }
    if let Some(other) = queue::blocking_request(state) {
        let blocker = format!("PostgresOpsRequest {} ({:?})", other.name_any(), other.phase());
        return Err(Action::Wait { reason: BLOCKED, message: claim::waiting_for(state, &blocker) });
    }
    let facts = Facts {
        request: &state.request,
        database: state.database.as_ref(),
        catalog: &state.catalog,
        active: &[],
        standbys: state.standbys,
    };
    admission::decide(&facts).map_err(|Denial { reason, message, .. }| {
        let is_transient = reason.is_transient();
        let reason = reason.as_str();
        if is_transient { Action::Wait { reason, message } } else { Action::Deny { reason, message } }
    })
}

/// The database's version, unless the request's status has it already.
fn unacknowledged_version(state: &State) -> Option<String> {
    let version = &state.database.as_ref()?.spec.version;
    let request = &state.request;
    let has_phase = request.status.as_ref().is_some_and(|status| status.phase.is_some());
    let is_acknowledged = has_phase && request.from_version() == Some(version);
    (!is_acknowledged).then(|| version.clone())
}
