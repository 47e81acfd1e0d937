//! The words of a refused request: what was asked, why it cannot be, what to do instead.

use super::{GoDurationError, NamespacedName};
use crate::PostgresOpsRequest;
use crate::matrix::{Reason, Refusal, UnsupportedRelease};
use crate::names::{
    ANNOTATION_ALLOW_BASE_OS_CHANGE, ANNOTATION_DRY_RUN, ANNOTATION_KEEP_OLD_DATA, ANNOTATION_REINDEX,
    ANNOTATION_TRANSFER_MODE,
};
use crate::opsrequest::resume_command;
use crate::plan::{TransferMode, pause_owner_name};
use crate::postgres::PostgresPhase;

const TARGET: &str = "spec.updateVersion.targetVersion";
const DATABASE: &str = "spec.databaseRef.name";
const TRANSFER_MODE: &str = "metadata.annotations[pgops.dev/transfer-mode]";
const KEEP_OLD_DATA: &str = "metadata.annotations[pgops.dev/keep-old-data]";
const REINDEX: &str = "metadata.annotations[pgops.dev/reindex]";
const DRY_RUN: &str = "metadata.annotations[pgops.dev/dry-run]";
const BASE_OS_CHANGE: &str = "metadata.annotations[pgops.dev/allow-base-os-change]";

/// A request that must not go on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// For machines.
    pub reason: DenialReason,
    /// For people.
    pub message: String,
    /// Path of the request's field that stands in the way.
    pub field: &'static str,
}

/// Why a request must not go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DenialReason {
    /// `spec.updateVersion` is missing or names nothing.
    MissingTarget,
    /// `spec.timeout` is no duration, or too short for any step.
    InvalidTimeout,
    /// `spec.maxRetries` is negative.
    InvalidRetries,
    /// The annotation `pgops.dev/transfer-mode` is not one of its words, or none of the target version.
    InvalidTransferMode,
    /// The annotation `pgops.dev/keep-old-data` is no duration.
    InvalidKeepOldData,
    /// The annotation `pgops.dev/reindex` is not one of its words.
    InvalidReindex,
    /// The annotation `pgops.dev/allow-base-os-change` is neither `true` nor `false`.
    InvalidBaseOsChange,
    /// The annotation `pgops.dev/dry-run` is neither `true` nor `false`.
    InvalidDryRun,
    /// There is no such database.
    DatabaseNotFound,
    /// The database is being deleted.
    DatabaseDeleting,
    /// Another request may still change the database.
    RequestActive,
    /// The matrix refuses the target.
    Matrix(Reason),
    /// One of the two is no version of `PostgreSQL` since 10.
    UnsupportedVersion,
    /// The database keeps nothing that could be upgraded.
    EphemeralStorage,
    /// The database has standbys.
    ReplicasUnsupported,
    /// The database is stopped at its owner's wish.
    DatabaseHalted,
    /// Someone else keeps the provisioner away.
    DatabasePaused,
    /// The database is not Ready, and the request applies only then.
    DatabaseNotReady,
}

impl DenialReason {
    /// The word that machines see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingTarget => "MissingTarget",
            Self::InvalidTimeout => "InvalidTimeout",
            Self::InvalidRetries => "InvalidRetries",
            Self::InvalidTransferMode => "InvalidTransferMode",
            Self::InvalidKeepOldData => "InvalidKeepOldData",
            Self::InvalidReindex => "InvalidReindex",
            Self::InvalidBaseOsChange => "InvalidBaseOSChange",
            Self::InvalidDryRun => "InvalidDryRun",
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

    /// Whether a field of the request itself is wrong, whatever else is in the cluster.
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
                | Self::InvalidBaseOsChange
                | Self::InvalidDryRun
        )
    }

    /// Whether the same request may be admitted later with nothing changed but the database's state.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RequestActive | Self::DatabaseHalted | Self::DatabasePaused | Self::DatabaseNotReady
        )
    }
}

fn deny(reason: DenialReason, field: &'static str, message: impl Into<String>) -> Denial {
    Denial { reason, message: message.into(), field }
}

pub(super) fn no_target() -> Denial {
    deny(
        DenialReason::MissingTarget,
        TARGET,
        "`spec.updateVersion` nil not supported in UpdateVersion type: name the PostgresVersion to move to in \
         spec.updateVersion.targetVersion",
    )
}

pub(super) fn bad_timeout(error: &GoDurationError) -> Denial {
    deny(DenialReason::InvalidTimeout, "spec.timeout", format!("spec.timeout: {error}"))
}

pub(super) fn short_timeout(text: &str) -> Denial {
    deny(
        DenialReason::InvalidTimeout,
        "spec.timeout",
        format!(
            "spec.timeout: \"{text}\" is too short for any step: give at least \"1s\", or leave it out for no limit"
        ),
    )
}

pub(super) fn bad_retries(retries: i32) -> Denial {
    deny(
        DenialReason::InvalidRetries,
        "spec.maxRetries",
        format!("spec.maxRetries: {retries} is negative: give 0 for a single try"),
    )
}

pub(super) fn bad_transfer_mode(text: &str) -> Denial {
    let why = if text == "swap" {
        "is not offered, since a kill while pg_upgrade moves the old files away would leave neither version whole: use \
         link, or"
    } else {
        "is none of copy, copy-file-range, clone and link:"
    };
    deny(
        DenialReason::InvalidTransferMode,
        TRANSFER_MODE,
        format!("annotation {ANNOTATION_TRANSFER_MODE}: \"{text}\" {why} leave it out to let pgops choose"),
    )
}

pub(super) fn early_transfer_mode(mode: TransferMode, target: &str) -> Denial {
    deny(
        DenialReason::InvalidTransferMode,
        TRANSFER_MODE,
        format!(
            "annotation {ANNOTATION_TRANSFER_MODE}: \"{}\" needs a target of PostgreSQL {} or newer, and {target} is \
             older: leave it out to let pgops choose",
            mode.name(),
            mode.since()
        ),
    )
}

pub(super) fn bad_keep_old_data(error: &GoDurationError) -> Denial {
    deny(
        DenialReason::InvalidKeepOldData,
        KEEP_OLD_DATA,
        format!(
            "annotation {ANNOTATION_KEEP_OLD_DATA}: {error}; leave it out to have old data that is still whole kept for a day"
        ),
    )
}

pub(super) fn bad_reindex(text: &str) -> Denial {
    deny(
        DenialReason::InvalidReindex,
        REINDEX,
        format!(
            "annotation {ANNOTATION_REINDEX}: \"{text}\" is none of affected, report and none: leave it out to have \
             affected indexes rebuilt"
        ),
    )
}

pub(super) fn bad_base_os_change(text: &str) -> Denial {
    deny(
        DenialReason::InvalidBaseOsChange,
        BASE_OS_CHANGE,
        format!(
            "annotation {ANNOTATION_ALLOW_BASE_OS_CHANGE}: \"{text}\" is neither \"true\" nor \"false\": leave it \
             out to keep the base system"
        ),
    )
}

pub(super) fn bad_dry_run(text: &str) -> Denial {
    deny(
        DenialReason::InvalidDryRun,
        DRY_RUN,
        format!(
            "annotation {ANNOTATION_DRY_RUN}: \"{text}\" is neither \"true\" nor \"false\": \"true\" runs the preflight \
             alone, leave it out to upgrade"
        ),
    )
}

pub(super) fn not_found(place: &NamespacedName<'_>) -> Denial {
    let NamespacedName { namespace, name } = place;
    deny(
        DenialReason::DatabaseNotFound,
        DATABASE,
        format!(
            "spec.databaseRef {place}, is invalid or not found: there is no Postgres \"{name}\" in namespace \
             \"{namespace}\"; a request must be in its database's namespace (kubectl get pg -A lists all)"
        ),
    )
}

pub(super) fn deleting(place: &NamespacedName<'_>) -> Denial {
    deny(
        DenialReason::DatabaseDeleting,
        DATABASE,
        format!(
            "{place} is being deleted, so it is not upgraded any more; once it is gone, create it anew with the \
             version that you want"
        ),
    )
}

pub(super) fn active(place: &NamespacedName<'_>, other: &PostgresOpsRequest) -> Denial {
    let name = other.metadata.name.as_deref().unwrap_or_default();
    let target = other.target().map(|target| format!(", to {target}")).unwrap_or_default();
    deny(
        DenialReason::RequestActive,
        DATABASE,
        format!(
            "another request is active on {place}: PostgresOpsRequest {name} ({:?}{target}); wait until it ends \
             (kubectl get pgops {name} -n {} -w), or delete it if it has not begun",
            other.phase(),
            place.namespace
        ),
    )
}

pub(super) fn matrix(refusal: &Refusal, message: String) -> Denial {
    let field = if refusal.reason() == Reason::UnknownSource { DATABASE } else { TARGET };
    deny(DenialReason::Matrix(refusal.reason()), field, message)
}

pub(super) fn unsupported_version(name: &str, error: &UnsupportedRelease) -> Denial {
    deny(
        DenialReason::UnsupportedVersion,
        TARGET,
        format!(
            "PostgresVersion {name} cannot be upgraded from or to: {error}; pgops upgrades between releases of \
             PostgreSQL since 10: mend its spec.version if it is wrong"
        ),
    )
}

pub(super) fn ephemeral(place: &NamespacedName<'_>) -> Denial {
    deny(
        DenialReason::EphemeralStorage,
        DATABASE,
        format!(
            "{place} has storageType Ephemeral: its data is gone with its pod, so there is nothing to upgrade; \
             create a database of the target version instead"
        ),
    )
}

pub(super) fn replicas(place: &NamespacedName<'_>, replicas: i32) -> Denial {
    deny(
        DenialReason::ReplicasUnsupported,
        DATABASE,
        format!(
            "{place} has {replicas} replicas, and pgops upgrades databases of one server only: set spec.replicas: 1 first"
        ),
    )
}

pub(super) fn halted(place: &NamespacedName<'_>) -> Denial {
    deny(
        DenialReason::DatabaseHalted,
        DATABASE,
        format!(
            "{place} is halted: set spec.halted: false, wait until it is Ready, then apply the request again"
        ),
    )
}

pub(super) fn paused(place: &NamespacedName<'_>, message: &str) -> Denial {
    let then = pause_owner_name(message).map_or_else(
        || {
            "wait until whoever paused it is done; if nobody is, remove the condition Paused from its status"
                .to_owned()
        },
        |request| {
            format!(
                "wait until that has ended; if it has failed, it goes on once the cause is gone: {}; if it was deleted, \
                 see docs/runbook.md",
                resume_command(place.namespace, request)
            )
        },
    );
    deny(DenialReason::DatabasePaused, DATABASE, format!("{place} is paused (\"{message}\"): {then}"))
}

pub(super) fn not_ready(place: &NamespacedName<'_>, phase: PostgresPhase) -> Denial {
    let NamespacedName { namespace, name } = place;
    deny(
        DenialReason::DatabaseNotReady,
        DATABASE,
        format!(
            "{place} is {phase}, and a request with apply: IfReady goes on only when it is Ready: wait for that \
             (kubectl get pg {name} -n {namespace} -w), or set spec.apply: Always"
        ),
    )
}
