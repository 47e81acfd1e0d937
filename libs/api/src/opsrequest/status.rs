//! The status of a request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;

/// Progress of the request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostgresOpsRequestStatus {
    /// The state of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The generation of the request to which the status applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One condition per step, `Outage` while and after the database accepts no writes, and `Successful` or `Failed` at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Name of the database's `PostgresVersion` when the request started, for the column of that name. `KubeDB`'s schema has
    /// no such field: the condition `Acknowledged` is what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The running step, as `n/N Name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How long the database accepted no writes, such as `5.6s`; while it accepts none, `since` and the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<String>,
}

/// The phases of a request in `KubeDB`'s API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Phase {
    /// Not started.
    Pending,
    /// It is being executed.
    Progressing,
    /// Completed.
    Successful,
    /// `KubeDB`'s approval flow; pgops ignores such a request.
    WaitingForApproval,
    /// Ended without success; the database is as it was before unless the conditions say otherwise.
    Failed,
    /// `KubeDB`'s approval flow: may start.
    Approved,
    /// Denied by the decision that is repeated before the Job is created.
    Denied,
    /// `KubeDB`: superseded by a newer request.
    Skipped,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Progressing,
        Self::Successful,
        Self::WaitingForApproval,
        Self::Failed,
        Self::Approved,
        Self::Denied,
        Self::Skipped,
    ];

    /// Whether the phase is final.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Denied | Self::Skipped)
    }
}

/// Condition of a request that completed.
pub const CONDITION_SUCCESSFUL: &str = "Successful";
/// Condition of a request that did not complete.
pub const CONDITION_FAILED: &str = "Failed";
/// Condition of a request that waits; its message says for what.
pub const CONDITION_WAITING: &str = "Waiting";
/// Condition of a request that has stopped its database: true while that accepts no writes.
pub const CONDITION_OUTAGE: &str = "Outage";
/// Condition of a request that the launcher has seen; its message has the version that the database then had, see
/// [`acknowledged_message`]. `KubeDB`'s schema has no other place for it.
pub const CONDITION_ACKNOWLEDGED: &str = "Acknowledged";
/// Condition of a dry run. It is written when the request starts and is authoritative from then on: an
/// annotation that is added or removed later must not stop an upgrade in the middle, nor turn a dry run into
/// an upgrade.
pub const CONDITION_DRY_RUN: &str = "DryRun";

pub(super) const ACKNOWLEDGED: &str = "the database has PostgresVersion ";

/// The message of [`CONDITION_ACKNOWLEDGED`].
#[must_use]
pub fn acknowledged_message(version: &str) -> String {
    format!("{ACKNOWLEDGED}{version}")
}

/// Reason of a request whose database has a StatefulSet, Service or pod that belongs to another owner, or has none:
/// nothing is touched.
pub const NOT_PROVISIONED: &str = "NotProvisioned";
