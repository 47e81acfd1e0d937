//! A problem of an object: the reason for machines, the field and the message for users.

/// Something wrong with a field.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SpecProblem {
    /// The kind of problem.
    pub reason: SpecProblemReason,
    /// Path of the field, such as `spec.storage.accessModes[0]`.
    pub field: String,
    /// Its value, what is wrong with it, and what to do instead.
    pub message: String,
}

/// The kind of problem.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpecProblemReason {
    /// The name does not fit a StatefulSet and its Services.
    InvalidName,
    /// Another number of servers than one.
    ReplicasUnsupported,
    /// A number of servers that cannot keep what is promised about replication.
    InvalidReplication,
    /// The number of servers cannot change now.
    ScalingBlocked,
    /// A durable database without a size.
    StorageMissing,
    /// A field of the volume claim is wrong.
    InvalidStorage,
    /// A smaller volume than before.
    StorageShrunk,
    /// The name of another object is malformed.
    InvalidReference,
    /// A field of the pod template is wrong.
    InvalidPodTemplate,
    /// Requests or limits of the server are wrong.
    InvalidResources,
    /// A setting of the server that cannot be made.
    InvalidSettings,
    /// The server would run as root.
    RunsAsRoot,
    /// TLS is requested without what it needs.
    InvalidTls,
    /// A field of `KubeDB`'s API that pgops does not act on, and that promises data or security.
    UnsupportedField,
    /// A misspelled field.
    UnknownField,
}

impl SpecProblemReason {
    /// The reason as a word for machines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidName => "InvalidName",
            Self::ReplicasUnsupported => "ReplicasUnsupported",
            Self::InvalidReplication => "InvalidReplication",
            Self::ScalingBlocked => "ScalingBlocked",
            Self::StorageMissing => "StorageMissing",
            Self::InvalidStorage => "InvalidStorage",
            Self::StorageShrunk => "StorageShrunk",
            Self::InvalidReference => "InvalidReference",
            Self::InvalidPodTemplate => "InvalidPodTemplate",
            Self::InvalidResources => "InvalidResources",
            Self::InvalidSettings => "InvalidSettings",
            Self::RunsAsRoot => "RunsAsRoot",
            Self::InvalidTls => "InvalidTls",
            Self::UnsupportedField => "UnsupportedField",
            Self::UnknownField => "UnknownField",
        }
    }

    /// Whether the field is wrong in every version of pgops.
    #[must_use]
    pub fn is_field_error(self) -> bool {
        !matches!(self, Self::ReplicasUnsupported | Self::ScalingBlocked | Self::UnsupportedField)
    }
}

impl SpecProblem {
    /// A problem of this field.
    #[must_use]
    pub fn new(reason: SpecProblemReason, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, field: field.into(), message: message.into() }
    }
}
