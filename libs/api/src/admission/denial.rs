//! A denied request: the reason for machines, the message for users.

use crate::matrix::Reason;

/// Why a request is denied.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// The reason, for machines.
    pub reason: DenialReason,
    /// The message, for users.
    pub message: String,
    /// Path of the request's field that must change.
    pub field: &'static str,
}

/// The kind of denial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DenialReason {
    /// `spec.updateVersion` is missing or names no target.
    MissingTarget,
    /// `spec.timeout` is not a duration, or too short for any step.
    InvalidTimeout,
    /// `spec.maxRetries` is negative.
    InvalidRetries,
    /// The annotation `pgops.dev/transfer-mode` has an unknown value, or one that the target does not
    /// support.
    InvalidTransferMode,
    /// The annotation `pgops.dev/keep-old-data` is not a duration.
    InvalidKeepOldData,
    /// The annotation `pgops.dev/reindex` has an unknown value.
    InvalidReindex,
    /// The annotation `pgops.dev/repartition` has an unknown value, or one that `pgops.dev/reindex` contradicts.
    InvalidRepartition,
    /// The annotation `pgops.dev/createrole-grants` has an unknown value.
    InvalidCreateroleGrants,
    /// The annotation `pgops.dev/allow-base-os-change` is neither `true` nor `false`.
    InvalidBaseOsChange,
    /// The annotation `pgops.dev/dry-run` is neither `true` nor `false`.
    InvalidDryRun,
    /// The field of the operation is missing, or has nothing to do.
    MissingField,
    /// The new requests or limits are wrong.
    InvalidResources,
    /// The new size of the volume is not a size.
    InvalidSize,
    /// The new settings are wrong.
    InvalidConfiguration,
    /// The new password cannot be taken from there.
    InvalidAuthentication,
    /// The Secret with the password is the user's own.
    AuthSecretNamed,
    /// The new size of the volume is not larger than the present one.
    StorageNotLarger,
    /// The database does not exist.
    DatabaseNotFound,
    /// The database is being deleted.
    DatabaseDeleting,
    /// Another request may still change the database.
    RequestActive,
    /// The compatibility matrix refuses the target.
    Matrix(Reason),
    /// The source or the target is not a release of `PostgreSQL` 10 or newer.
    UnsupportedVersion,
    /// The database has ephemeral storage: there is no data to upgrade, or all of it would be deleted with the pod.
    EphemeralStorage,
    /// The database has standbys.
    ReplicasUnsupported,
    /// The database is halted by its owner.
    DatabaseHalted,
    /// The database is paused, and not by this request.
    DatabasePaused,
    /// The database is not Ready, and the request applies only then.
    DatabaseNotReady,
}

impl DenialReason {
    /// The reason as a word for machines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingTarget => "MissingTarget",
            Self::InvalidTimeout => "InvalidTimeout",
            Self::InvalidRetries => "InvalidRetries",
            Self::InvalidTransferMode => "InvalidTransferMode",
            Self::InvalidKeepOldData => "InvalidKeepOldData",
            Self::InvalidReindex => "InvalidReindex",
            Self::InvalidRepartition => "InvalidRepartition",
            Self::InvalidCreateroleGrants => "InvalidCreateroleGrants",
            Self::InvalidBaseOsChange => "InvalidBaseOSChange",
            Self::InvalidDryRun => "InvalidDryRun",
            Self::MissingField => "MissingField",
            Self::InvalidResources => "InvalidResources",
            Self::InvalidSize => "InvalidSize",
            Self::InvalidConfiguration => "InvalidConfiguration",
            Self::InvalidAuthentication => "InvalidAuthentication",
            Self::AuthSecretNamed => "AuthSecretNamed",
            Self::StorageNotLarger => "StorageNotLarger",
            Self::DatabaseNotFound => "DatabaseNotFound",
            Self::DatabaseDeleting => "DatabaseDeleting",
            Self::RequestActive => "RequestActive",
            Self::Matrix(reason) => reason.as_str(),
            Self::UnsupportedVersion => "UnsupportedVersion",
            Self::EphemeralStorage => "EphemeralStorage",
            Self::ReplicasUnsupported => "ReplicasUnsupported",
            Self::DatabaseHalted => "DatabaseHalted",
            Self::DatabasePaused => "DatabasePaused",
            Self::DatabaseNotReady => "DatabaseNotReady",
        }
    }

    /// Whether a field of the request itself is invalid, independent of the state of the cluster.
    #[must_use]
    pub fn is_field_error(self) -> bool {
        matches!(
            self,
            Self::MissingTarget
                | Self::InvalidTimeout
                | Self::InvalidRetries
                | Self::InvalidTransferMode
                | Self::InvalidKeepOldData
                | Self::InvalidReindex
                | Self::InvalidRepartition
                | Self::InvalidCreateroleGrants
                | Self::InvalidBaseOsChange
                | Self::InvalidDryRun
                | Self::MissingField
                | Self::InvalidResources
                | Self::InvalidSize
                | Self::InvalidConfiguration
                | Self::InvalidAuthentication
        )
    }

    /// Whether the same request may be admitted later, once the state of the database has changed.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RequestActive | Self::DatabaseHalted | Self::DatabasePaused | Self::DatabaseNotReady
        )
    }
}
