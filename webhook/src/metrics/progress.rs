//! What is known of one request, as data.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use pgops_api::opsrequest::Phase;
use pgops_api::plan::Scope;
use pgops_api::progress::{OutageProgress, StepProgress};

/// The progress of a request that has not ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestProgress {
    /// Namespace of request and database.
    pub namespace: String,
    /// Name of the request.
    pub request: String,
    /// Name of the database.
    pub database: String,
    /// When its Job was created, if it runs.
    pub started: Option<Timestamp>,
    /// The running step.
    pub step: Option<StepProgress>,
    /// How many attempts of that step have failed.
    pub failed_attempts: u32,
    /// How often a pod of its Job, or a container of one, was replaced.
    pub worker_restarts: u32,
    /// The outage so far.
    pub outage: OutageProgress,
    /// Reason for which it waits, and since when.
    pub waiting: Option<(String, Timestamp)>,
}

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestEnd {
    /// The phase that it ended in.
    pub result: Phase,
    /// Whether it was a dry run.
    pub scope: Scope,
    /// From its acknowledgement to its end, unless it ended without a Job.
    pub duration: Option<SignedDuration>,
    /// Seconds of outage, if there was one and it has ended.
    pub outage: Option<f64>,
}
