//! The state of a worker's Job, as its object reports it.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use pgops_api::names;
use pgops_kube::finalizers;
use serde::{Deserialize, Serialize};

/// Annotation of a Job that was suspended before it did anything; its value is a [`Withdrawal`] as JSON.
pub const ANNOTATION_WITHDRAWN: &str = "pgops.dev/withdrawn";

/// Annotation of a Job that was created suspended and has not been started. Starting the Job removes it.
pub const ANNOTATION_HELD: &str = "pgops.dev/held";

/// The state of a Job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JobState {
    /// It was created suspended and has not been started.
    Held,
    /// It has pods, or may still create some.
    Active,
    /// The launcher suspended it before it did anything.
    Withdrawn(Withdrawal),
    /// Its pod succeeded.
    Complete,
    /// It failed, with its reason and message.
    Failed(String),
}

/// Why a Job was withdrawn; becomes the condition of the request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Withdrawal {
    /// Reason of the condition.
    pub reason: String,
    /// Message of the condition.
    pub message: String,
}

/// The state of the Job. Kubernetes sets `Complete` and `Failed` only once all its pods have ended.
pub fn of(job: &Job) -> JobState {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let find_true = |type_: &str| conditions.iter().find(|it| it.type_ == type_ && it.status == "True");
    if find_true("Complete").is_some() {
        return JobState::Complete;
    }
    if let Some(failed) = find_true("Failed") {
        let parts = [failed.reason.as_deref(), failed.message.as_deref()];
        return JobState::Failed(parts.into_iter().flatten().collect::<Vec<_>>().join(": "));
    }
    let suspended = job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true));
    let mark = job.annotations().get(ANNOTATION_WITHDRAWN);
    match mark.and_then(|mark| serde_json::from_str(mark).ok()) {
        Some(withdrawal) if suspended => JobState::Withdrawn(withdrawal),
        _ if suspended && job.annotations().contains_key(ANNOTATION_HELD) => JobState::Held,
        _ => JobState::Active,
    }
}

/// Whether the launcher's finalizer keeps the Job.
pub fn has_finalizer(job: &Job) -> bool {
    finalizers::has_finalizer(job, names::JOB_FINALIZER)
}

/// Number of its pods that failed.
pub fn failures(job: &Job) -> i32 {
    job.status.as_ref().and_then(|status| status.failed).unwrap_or(0)
}
