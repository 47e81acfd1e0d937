//! What a worker's Job says about itself.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

/// Annotation of a Job that was suspended because its pod cannot start; holds [`Withdrawal`] as JSON.
pub const ANNOTATION_WITHDRAWN: &str = "pgops.dev/withdrawn";

/// Annotation of a Job that was made suspended and never let go. It goes when the Job begins.
pub const ANNOTATION_HELD: &str = "pgops.dev/held";

/// How far a Job is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JobState {
    /// It was made, and has not begun.
    Held,
    /// It may still start pods, or has some.
    Active,
    /// It was suspended by us, because its pod cannot start.
    Withdrawn(Withdrawal),
    /// Its pod ended well.
    Complete,
    /// It has given up.
    Failed(String),
}

/// Why a Job was withdrawn; ends up in the request's status.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Withdrawal {
    /// One `CamelCase` word for machines.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// How far the Job is. `Complete` and `Failed` are said only once all its pods have ended.
pub fn state(job: &Job) -> JobState {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let standing = |type_: &str| conditions.iter().find(|it| it.type_ == type_ && it.status == "True");
    if standing("Complete").is_some() {
        return JobState::Complete;
    }
    if let Some(failed) = standing("Failed") {
        let words = [failed.reason.as_deref(), failed.message.as_deref()];
        return JobState::Failed(words.into_iter().flatten().collect::<Vec<_>>().join(": "));
    }
    let suspended = job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true));
    let mark = job.annotations().get(ANNOTATION_WITHDRAWN);
    match mark.and_then(|mark| serde_json::from_str(mark).ok()) {
        Some(withdrawal) if suspended => JobState::Withdrawn(withdrawal),
        _ if suspended && job.annotations().contains_key(ANNOTATION_HELD) => JobState::Held,
        _ => JobState::Active,
    }
}

/// How many of its pods have failed.
pub fn failures(job: &Job) -> i32 {
    job.status.as_ref().and_then(|status| status.failed).unwrap_or(0)
}
