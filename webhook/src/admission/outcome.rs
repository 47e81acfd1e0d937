//! The outcome of a review in machine-readable words, for metrics.

use super::decision::{Decision, UNREADABLE};
use super::request::AdmissionRequest;

/// The webhook that a review was sent to.
#[derive(Clone, Copy, Debug)]
pub enum Webhook {
    /// `/mutate`: sets defaults.
    Mutate,
    /// `/validate`: allows or denies.
    Validate,
}

impl Webhook {
    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Validate => "validate",
        }
    }
}

/// The outcome of a review. Each field has few values, so that they can be labels of a metric.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Outcome {
    /// The object's kind; `other` for one without rules, empty if it could not be read.
    pub kind: &'static str,
    /// `allowed`, `forbidden`, `invalid`, or `malformed` for a body that is not a review.
    pub decision: &'static str,
    /// `Allowed`, or why the review was denied.
    pub reason: &'static str,
}

impl Outcome {
    /// Of a body that cannot be received, or is not a review.
    pub const MALFORMED: Self = Self { kind: "", decision: "malformed", reason: "Malformed" };
    /// Of a review whose request cannot be read.
    pub const UNREADABLE: Self = Self { kind: "", decision: "invalid", reason: UNREADABLE };

    /// The outcome of a decision.
    pub(super) fn of(decision: &Decision, request: &AdmissionRequest<'_>) -> Self {
        let kind = match &*request.kind.kind {
            "Postgres" => "Postgres",
            "PostgresOpsRequest" => "PostgresOpsRequest",
            "PostgresVersion" => "PostgresVersion",
            "Namespace" => "Namespace",
            "PersistentVolumeClaim" => "PersistentVolumeClaim",
            _ => "other",
        };
        let word = match decision {
            Decision::Allowed(_) => "allowed",
            Decision::Forbidden(_) => "forbidden",
            Decision::Invalid(_) => "invalid",
        };
        Self { kind, decision: word, reason: decision.reason() }
    }
}
