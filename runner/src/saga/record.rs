//! What the journal holds.
//!
//! The serialised names are those of v0.1.0: a newer runner reads the journal of an older one, and the reverse.

use jiff::Timestamp;
use pgops_api::plan::Step;
use serde::{Deserialize, Serialize};

/// One line of the journal.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// When it was written.
    pub at: Timestamp,
    pub step: Step,
    pub event: Event,
    /// Since when a server has served clients, if one did: only in records about the outage, which is counted by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_since: Option<Timestamp>,
}

/// What happened to a step.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Event {
    /// Its effect may exist in part.
    Started,
    /// Its effect exists.
    Succeeded,
    /// It failed; the saga rolls back, or stops here past the point of no return.
    Failed(Failure),
    /// Its effect was removed.
    Undone,
    /// Undo was refused because it would discard writes accepted by the new server; the saga now only moves forward.
    #[serde(rename = "Committed")]
    RollForward(Failure),
    /// The step is optional and failed; the saga continues without it, and the upgrade still succeeds.
    #[serde(rename = "GivenUp")]
    Skipped(Failure),
}

/// Why a step failed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// One `CamelCase` word.
    pub reason: String,
    /// A sentence with the object and the remedy.
    pub message: String,
    /// Whether another attempt at the same step may succeed.
    #[serde(default, rename = "may_pass")]
    pub retryable: bool,
}
