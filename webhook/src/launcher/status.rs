//! The statuses that the launcher writes. Each changes only what it must of the current one: conditions
//! that the runner wrote stay.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use pgops_api::admission::requested_scope;
use pgops_api::opsrequest::{
    CONDITION_ACKNOWLEDGED, CONDITION_DRY_RUN, CONDITION_FAILED, CONDITION_SUCCESSFUL, CONDITION_WAITING,
    Phase, PostgresOpsRequestStatus, acknowledged_message,
};
use pgops_api::plan::Scope;
use pgops_api::{Condition, PostgresOpsRequest, condition};

use super::action::Action;
use super::state::State;
use super::waiting;

/// The status that the action writes, if it writes one.
pub fn written_by(action: &Action, state: &State) -> Option<PostgresOpsRequestStatus> {
    let request = &state.request;
    let now = Time(state.now);
    Some(match action {
        Action::Acknowledge { from } => acknowledged(request, from, now),
        Action::Wait { reason, message } | Action::Warn { reason, message } => {
            waiting(request, reason, message, now)
        }
        Action::Deny { reason, message } => ended_without(Phase::Denied, request, reason, message, now),
        Action::Fail { reason, message } => ended_without(Phase::Failed, request, reason, message, now),
        Action::Succeed { message } => succeeded(request, message, now),
        Action::MarkProgressing | Action::StopWaiting => progressing(request),
        Action::Resume => resumed(request),
        _ => return None,
    })
}

/// The request was seen; the database has this version.
fn acknowledged(request: &PostgresOpsRequest, from: &str, now: Time) -> PostgresOpsRequestStatus {
    let mut status = current(request);
    // Decided once: a later change of the annotation has no effect.
    if request.from_version().is_none() && requested_scope(request) == Ok(Scope::DryRun) {
        let message = "only the preflight runs; nothing is changed";
        put(&mut status, Condition::new(CONDITION_DRY_RUN, "True", CONDITION_DRY_RUN, message, now.clone()));
    }
    let message = acknowledged_message(from);
    put(&mut status, Condition::new(CONDITION_ACKNOWLEDGED, "True", CONDITION_ACKNOWLEDGED, message, now));
    status.phase = status.phase.or(Some(Phase::Pending));
    // Of an operation that changes no version the column would be misleading.
    status.from = request.updates_version().then(|| from.to_owned());
    status
}

fn waiting(request: &PostgresOpsRequest, reason: &str, message: &str, now: Time) -> PostgresOpsRequestStatus {
    let mut status = current(request);
    status.phase = status.phase.or(Some(Phase::Pending));
    // Its time is that of the reason: how long a request waits for one may be limited.
    if waiting::since(request, reason).is_none() {
        stop_waiting(&mut status);
    }
    put(&mut status, Condition::new(CONDITION_WAITING, "True", reason, message, now));
    status
}

/// It is being executed.
fn progressing(request: &PostgresOpsRequest) -> PostgresOpsRequestStatus {
    let mut status = current(request);
    status.phase = Some(Phase::Progressing);
    stop_waiting(&mut status);
    status
}

/// It had failed, and is resumed.
fn resumed(request: &PostgresOpsRequest) -> PostgresOpsRequestStatus {
    let mut status = progressing(request);
    status.conditions.retain(|condition| condition.type_ != CONDITION_FAILED);
    status
}

/// It ended, in this phase, without the target version.
fn ended_without(
    phase: Phase,
    request: &PostgresOpsRequest,
    reason: &str,
    message: &str,
    now: Time,
) -> PostgresOpsRequestStatus {
    let mut status = current(request);
    status.phase = Some(phase);
    stop_waiting(&mut status);
    put(&mut status, Condition::new(CONDITION_FAILED, "True", reason, message, now));
    status
}

/// It ended with the target version.
fn succeeded(request: &PostgresOpsRequest, message: &str, now: Time) -> PostgresOpsRequestStatus {
    let mut status = current(request);
    status.phase = Some(Phase::Successful);
    stop_waiting(&mut status);
    put(&mut status, Condition::new(CONDITION_SUCCESSFUL, "True", CONDITION_SUCCESSFUL, message, now));
    status
}

fn current(request: &PostgresOpsRequest) -> PostgresOpsRequestStatus {
    let mut status = request.status.clone().unwrap_or_default();
    status.observed_generation = request.metadata.generation;
    status
}

fn put(status: &mut PostgresOpsRequestStatus, new: Condition) {
    let new = Condition { observed_generation: status.observed_generation, ..new };
    condition::set(&mut status.conditions, new);
}

fn stop_waiting(status: &mut PostgresOpsRequestStatus) {
    status.conditions.retain(|condition| condition.type_ != CONDITION_WAITING);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{at, request};
    use pgops_api::names;

    fn types(status: &PostgresOpsRequestStatus) -> Vec<&str> {
        status.conditions.iter().map(|condition| condition.type_.as_str()).collect()
    }

    #[test]
    fn status_keeps_the_runners_conditions_and_ends_waiting() {
        let mut request = request("orders-17");
        let step = Condition::new("PauseDatabase", "True", "PauseDatabase", "", Time(at(1)));
        request.status.get_or_insert_default().conditions = vec![step];
        request.status = Some(waiting(&request, "Blocked", "waits", Time(at(2))));
        assert_eq!(types(request.status.as_ref().unwrap()), ["PauseDatabase", "Waiting"]);
        assert_eq!(types(&progressing(&request)), ["PauseDatabase"]);
        let failed = ended_without(Phase::Failed, &request, "JobFailed", "why", Time(at(3)));
        assert_eq!(types(&failed), ["PauseDatabase", "Failed"]);
        assert_eq!(failed.observed_generation, request.metadata.generation);
    }

    #[test]
    fn time_of_a_wait_is_that_of_its_reason() {
        let mut request = request("orders-17");
        for (second, reason, since) in [(2, "Blocked", 2), (3, "Blocked", 2), (4, "JobRefused", 4)] {
            request.status = Some(waiting(&request, reason, "waits", Time(at(second))));
            assert_eq!(crate::launcher::waiting::since(&request, reason), Some(at(since)));
        }
        assert_eq!(types(request.status.as_ref().unwrap()), ["Waiting"]);
    }

    #[test]
    fn acknowledgement_keeps_an_approval() {
        let mut request = request("orders-17");
        request.status.get_or_insert_default().phase = Some(Phase::Approved);
        assert_eq!(acknowledged(&request, "13.16", Time(at(1))).phase, Some(Phase::Approved));
    }

    #[test]
    fn acknowledgement_survives_a_schema_without_the_source_version() {
        let mut request = request("orders-17");
        request.status = Some(acknowledged(&request, "13.16", Time(at(1))));
        request.status.get_or_insert_default().from = None;
        assert_eq!(request.from_version(), Some("13.16"));
        request.status = Some(acknowledged(&request, "13.23", Time(at(2))));
        assert_eq!(request.from_version(), Some("13.23"));
        assert_eq!(types(request.status.as_ref().unwrap()), ["Acknowledged"]);
    }

    #[test]
    fn dry_run_is_decided_by_the_acknowledgement() {
        let mut request = request("orders-17");
        let annotation: [(String, String); 1] = [(names::ANNOTATION_DRY_RUN.to_owned(), "true".to_owned())];
        request.metadata.annotations = Some(annotation.into());
        let annotated = request.clone();
        // An annotation that is added later has no effect …
        request.status = Some(acknowledged(&annotated, "13.16", Time(at(1))));
        assert_eq!(request.scope(), Scope::Upgrade);
        // … and removing it later has none either.
        request.status = None;
        request.status = Some(acknowledged(&request, "13.16", Time(at(1))));
        request.metadata.annotations = None;
        request.status = Some(acknowledged(&request, "13.23", Time(at(2))));
        assert_eq!(request.scope(), Scope::DryRun);
    }
}
