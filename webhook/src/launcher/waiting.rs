//! The condition `Waiting` of a request: since when, and why.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use pgops_api::admission::RequestOptions;
use pgops_api::opsrequest::{CONDITION_WAITING, NOT_PROVISIONED};
use pgops_api::{Condition, PostgresOpsRequest, condition};

use super::start_problem::StartReason;

/// Another request, or its worker, comes first.
pub const BLOCKED: &str = "Blocked";
/// The database's pod is all that keeps its volume, and an upgrade stops it.
pub const VOLUME_AT_RISK: &str = "VolumeAtRisk";
/// The database's pod would not be created again, or would not start.
pub const RESTART_BLOCKED: &str = "RestartBlocked";
/// An object that the worker needs exists and belongs to another owner.
pub const NAME_TAKEN: &str = "NameTaken";
/// The API server refuses the Job, or an object that it needs.
pub const JOB_REFUSED: &str = "JobRefused";
/// The API server refuses another write of the launcher.
pub const WRITE_REFUSED: &str = "WriteRefused";
/// The node of the worker's pod no longer reports.
pub const WORKER_LOST: &str = "WorkerLost";
/// The Job cannot be created again.
pub const PLAN_LOST: &str = "PlanLost";

/// The condition, if the request has it.
pub fn of(request: &PostgresOpsRequest) -> Option<&Condition> {
    condition::find(&request.status.as_ref()?.conditions, CONDITION_WAITING)
}

/// Since when the request waits for this reason, if it does.
pub fn since(request: &PostgresOpsRequest, reason: &str) -> Option<Timestamp> {
    let waiting = of(request).filter(|waiting| waiting.reason.as_deref() == Some(reason));
    waiting.map(|waiting| waiting.last_transition_time.0)
}

/// Whether the launcher has set the condition: the runner sets it too, for what it waits for itself.
pub fn is_of_launcher(request: &PostgresOpsRequest) -> bool {
    const REASONS: [&str; 9] = [
        BLOCKED,
        VOLUME_AT_RISK,
        RESTART_BLOCKED,
        NAME_TAKEN,
        JOB_REFUSED,
        WRITE_REFUSED,
        WORKER_LOST,
        PLAN_LOST,
        NOT_PROVISIONED,
    ];
    let reason = of(request).and_then(|waiting| waiting.reason.as_deref());
    reason.is_some_and(|reason| REASONS.contains(&reason) || StartReason::is_one(reason))
}

/// How long the request waits for what others refuse, by its `spec.timeout`: without end if it has none.
pub fn time_limit(request: &PostgresOpsRequest) -> Option<SignedDuration> {
    SignedDuration::try_from(RequestOptions::parse_lenient(request).timeout?).ok()
}
