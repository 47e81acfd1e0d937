//! The decision on a review.

use std::borrow::Cow;

use json_patch::PatchOperation;
use pgops_api::admission::Denial;

/// The reason of an object that cannot be parsed.
pub const UNREADABLE: &str = "Unreadable";

/// The decision on a review.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Admitted, with these warnings.
    Allowed(Vec<String>),
    /// Denied by a rule or by the state of the cluster: 403.
    Forbidden(Cause),
    /// A field of the object is wrong whatever the state of the cluster is: 422.
    Invalid(Cause),
}

/// Why a review is denied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cause {
    /// Machine-readable reason in one word.
    pub reason: &'static str,
    /// What the user reads.
    pub message: String,
    /// Path of the offending field.
    pub field: Cow<'static, str>,
}

/// A decision, with the changes to the object.
pub struct Answer {
    /// The decision.
    pub decision: Decision,
    /// Empty for most reviews.
    pub patch: Vec<PatchOperation>,
}

impl From<Denial> for Decision {
    fn from(denial: Denial) -> Self {
        let Denial { reason, message, field } = denial;
        let cause = Cause { reason: reason.as_str(), message, field: field.into() };
        if reason.is_field_error() { Self::Invalid(cause) } else { Self::Forbidden(cause) }
    }
}

impl Decision {
    /// Why the review is denied; none if it is admitted.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Allowed(_) => None,
            Self::Forbidden(cause) | Self::Invalid(cause) => Some(cause),
        }
    }

    /// The warnings for an admitted object.
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Allowed(warnings) => warnings,
            Self::Forbidden(_) | Self::Invalid(_) => &[],
        }
    }

    /// The HTTP status of the user's own request.
    pub fn code(&self) -> u16 {
        match self {
            Self::Allowed(_) => 200,
            Self::Forbidden(_) => 403,
            Self::Invalid(_) => 422,
        }
    }

    /// Machine-readable reason in one word.
    pub fn reason(&self) -> &'static str {
        self.cause().map_or("Allowed", |cause| cause.reason)
    }
}

impl From<Decision> for Answer {
    fn from(decision: Decision) -> Self {
        Self { decision, patch: Vec::new() }
    }
}
