//! The message of each denial: what was requested, why it is denied, what to do instead.

use super::denial::{Denial, DenialReason};
use super::duration::GoDurationError;
use super::namespaced_name::NamespacedName;
use super::replacement::Replacement;
use crate::PostgresOpsRequest;
use crate::matrix::{Reason, Refusal, UnsupportedRelease};
use crate::names::{
    ANNOTATION_ALLOW_BASE_OS_CHANGE, ANNOTATION_CREATEROLE_GRANTS, ANNOTATION_DRY_RUN,
    ANNOTATION_KEEP_OLD_DATA, ANNOTATION_OVERRIDE, ANNOTATION_REINDEX, ANNOTATION_REPARTITION,
    ANNOTATION_TRANSFER_MODE,
};
use crate::opsrequest::{DayTwo, resume_command};
use crate::plan::{TransferMode, pause_owner_name};
use crate::postgres::PostgresPhase;

const TARGET: &str = "spec.updateVersion.targetVersion";
const DATABASE: &str = "spec.databaseRef.name";
const TRANSFER_MODE: &str = "metadata.annotations[pgops.dev/transfer-mode]";
const KEEP_OLD_DATA: &str = "metadata.annotations[pgops.dev/keep-old-data]";
const REINDEX: &str = "metadata.annotations[pgops.dev/reindex]";
const REPARTITION: &str = "metadata.annotations[pgops.dev/repartition]";
const CREATEROLE_GRANTS: &str = "metadata.annotations[pgops.dev/createrole-grants]";
const DRY_RUN: &str = "metadata.annotations[pgops.dev/dry-run]";
const BASE_OS_CHANGE: &str = "metadata.annotations[pgops.dev/allow-base-os-change]";

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

pub(super) fn invalid_timeout(error: &GoDurationError) -> Denial {
    deny(DenialReason::InvalidTimeout, "spec.timeout", format!("spec.timeout: {error}"))
}

pub(super) fn short_timeout(text: &str) -> Denial {
    deny(
        DenialReason::InvalidTimeout,
        "spec.timeout",
        format!(
            "spec.timeout: \"{text}\" is too short for any step: set at least \"1s\", or omit it for no limit"
        ),
    )
}

pub(super) fn negative_retries(retries: i32) -> Denial {
    deny(
        DenialReason::InvalidRetries,
        "spec.maxRetries",
        format!("spec.maxRetries: {retries} is negative: set 0 for a single attempt"),
    )
}

pub(super) fn unknown_transfer_mode(text: &str) -> Denial {
    let why = if text == "swap" {
        "is not supported, since an interruption while pg_upgrade moves the old files would leave neither version \
         intact: use link, or"
    } else {
        "is not one of copy, copy-file-range, clone and link:"
    };
    deny(
        DenialReason::InvalidTransferMode,
        TRANSFER_MODE,
        format!("annotation {ANNOTATION_TRANSFER_MODE}: \"{text}\" {why} omit it to let pgops choose"),
    )
}

pub(super) fn early_transfer_mode(mode: TransferMode, target: &str) -> Denial {
    deny(
        DenialReason::InvalidTransferMode,
        TRANSFER_MODE,
        format!(
            "annotation {ANNOTATION_TRANSFER_MODE}: \"{}\" requires a target of PostgreSQL {} or newer, and {target} \
             is older: omit it to let pgops choose",
            mode.name(),
            mode.since()
        ),
    )
}

pub(super) fn invalid_keep_old_data(error: &GoDurationError) -> Denial {
    deny(
        DenialReason::InvalidKeepOldData,
        KEEP_OLD_DATA,
        format!(
            "annotation {ANNOTATION_KEEP_OLD_DATA}: {error}; omit it to keep old data that is still intact for a day"
        ),
    )
}

pub(super) fn unknown_reindex(text: &str) -> Denial {
    deny(
        DenialReason::InvalidReindex,
        REINDEX,
        format!(
            "annotation {ANNOTATION_REINDEX}: \"{text}\" is not one of affected, report and none: omit it to have \
             affected indexes rebuilt"
        ),
    )
}

pub(super) fn unknown_repartition(text: &str) -> Denial {
    deny(
        DenialReason::InvalidRepartition,
        REPARTITION,
        format!(
            "annotation {ANNOTATION_REPARTITION}: \"{text}\" is neither report nor move: omit it to have rows in the wrong \
             partition reported"
        ),
    )
}

pub(super) fn repartition_without_reindex(reindex: &str) -> Denial {
    deny(
        DenialReason::InvalidRepartition,
        REPARTITION,
        format!(
            "annotation {ANNOTATION_REPARTITION}: \"move\" requires rebuilt indexes, since a unique index that misses rows \
             admits duplicates, but {ANNOTATION_REINDEX} is \"{reindex}\": omit that one, or have rows in the wrong \
             partition only reported"
        ),
    )
}

pub(super) fn unknown_createrole_grants(text: &str) -> Denial {
    deny(
        DenialReason::InvalidCreateroleGrants,
        CREATEROLE_GRANTS,
        format!(
            "annotation {ANNOTATION_CREATEROLE_GRANTS}: \"{text}\" is neither report nor carry: omit it to have the GRANTs for \
             roles with CREATEROLE reported"
        ),
    )
}

pub(super) fn unknown_base_os_change(text: &str) -> Denial {
    deny(
        DenialReason::InvalidBaseOsChange,
        BASE_OS_CHANGE,
        format!(
            "annotation {ANNOTATION_ALLOW_BASE_OS_CHANGE}: \"{text}\" is neither \"true\" nor \"false\": omit it to \
             keep the base system"
        ),
    )
}

pub(super) fn unknown_dry_run(text: &str) -> Denial {
    deny(
        DenialReason::InvalidDryRun,
        DRY_RUN,
        format!(
            "annotation {ANNOTATION_DRY_RUN}: \"{text}\" is neither \"true\" nor \"false\": set \"true\" to run only \
             the preflight, or omit it to upgrade"
        ),
    )
}

pub(super) fn not_found(database: &NamespacedName<'_>) -> Denial {
    let NamespacedName { namespace, name } = database;
    deny(
        DenialReason::DatabaseNotFound,
        DATABASE,
        format!(
            "spec.databaseRef {database}, is invalid or not found: there is no Postgres \"{name}\" in namespace \
             \"{namespace}\"; create the request in its database's namespace (kubectl get pg -A lists all)"
        ),
    )
}

pub(super) fn deleting(database: &NamespacedName<'_>, operation: Option<DayTwo>) -> Denial {
    let message = match operation {
        None => format!(
            "{database} is being deleted and can no longer be upgraded; once it is deleted, create it again with the \
             version you want"
        ),
        Some(_) => format!(
            "{database} is being deleted and is not changed any more; once it is deleted, create it again as you want it"
        ),
    };
    deny(DenialReason::DatabaseDeleting, DATABASE, message)
}

pub(super) fn invalid(reason: DenialReason, field: &'static str, message: String) -> Denial {
    deny(reason, field, message)
}

pub(super) fn missing_field(name: &str, operation: DayTwo, field: &'static str) -> Denial {
    let remedy = match operation {
        DayTwo::Reconfigure => {
            "name a Secret in configSecret, set settings in applyConfig, or set removeCustomConfig: true"
                .to_owned()
        }
        DayTwo::Restart | DayTwo::VerticalScaling | DayTwo::VolumeExpansion | DayTwo::RotateAuth => {
            format!("set {field}")
        }
    };
    deny(
        DenialReason::MissingField,
        field,
        format!("`spec.{name}` nil not supported in {operation} type: {remedy}"),
    )
}

pub(super) fn dry_run_of_day_two(operation: DayTwo) -> Denial {
    deny(
        DenialReason::InvalidDryRun,
        DRY_RUN,
        format!(
            "annotation {ANNOTATION_DRY_RUN}: there is no dry run of a request of type {operation}: remove the annotation, and \
             check the request with kubectl apply --dry-run=server"
        ),
    )
}

pub(super) fn nothing_to_expand(database: &NamespacedName<'_>) -> Denial {
    deny(
        DenialReason::EphemeralStorage,
        DATABASE,
        format!(
            "{database} has storageType Ephemeral, so it has no volume to expand: set \
             spec.storage.resources.requests.storage of the Postgres, which takes effect at the next restart"
        ),
    )
}

pub(super) fn ephemeral_data(
    database: &NamespacedName<'_>,
    operation: DayTwo,
    replacement: Replacement,
) -> Denial {
    let condition = if replacement == Replacement::IfNeeded { " if a setting needs that" } else { "" };
    let instead = match operation {
        DayTwo::Reconfigure => "Set spec.configuration.restart: \"false\"; or, to lose the data,",
        DayTwo::Restart | DayTwo::VerticalScaling | DayTwo::VolumeExpansion | DayTwo::RotateAuth => {
            "Dump the data first, and restore it afterwards. To lose what the pod has,"
        }
    };
    deny(
        DenialReason::EphemeralStorage,
        DATABASE,
        format!(
            "{database} has storageType Ephemeral: its data is deleted with its pod, which a request of type {operation} \
             replaces{condition}. {instead} annotate the request with {ANNOTATION_OVERRIDE}: \"true\""
        ),
    )
}

pub(super) fn own_auth_secret(database: &NamespacedName<'_>, secret: &str) -> Denial {
    deny(
        DenialReason::AuthSecretNamed,
        DATABASE,
        format!(
            "{database} has its password in Secret {secret}, which spec.authSecret names and pgops never changes: set the new \
             password in the server (ALTER ROLE … PASSWORD) and in that Secret"
        ),
    )
}

pub(super) fn not_larger(database: &NamespacedName<'_>, wanted: &str, current: &str) -> Denial {
    deny(
        DenialReason::StorageNotLarger,
        "spec.volumeExpansion.postgres",
        format!(
            "the volume of {database} has {current}, and {wanted} is not larger: a volume can only grow, so set more than \
             {current}"
        ),
    )
}

pub(super) fn active(database: &NamespacedName<'_>, other: &PostgresOpsRequest) -> Denial {
    let name = other.metadata.name.as_deref().unwrap_or_default();
    let target = other.target().map(|target| format!(", to {target}")).unwrap_or_default();
    deny(
        DenialReason::RequestActive,
        DATABASE,
        format!(
            "another request is active on {database}: PostgresOpsRequest {name} ({:?}{target}); wait until it ends \
             (kubectl get pgops {name} -n {} -w), or delete it if it has not started",
            other.phase(),
            database.namespace
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
             PostgreSQL 10 or newer: correct its spec.version if it is wrong"
        ),
    )
}

pub(super) fn ephemeral(database: &NamespacedName<'_>) -> Denial {
    deny(
        DenialReason::EphemeralStorage,
        DATABASE,
        format!(
            "{database} has storageType Ephemeral: its data is deleted with its pod, so there is nothing to upgrade; \
             create a database of the target version instead"
        ),
    )
}

pub(super) fn replicas(database: &NamespacedName<'_>, replicas: i32) -> Denial {
    deny(
        DenialReason::ReplicasUnsupported,
        DATABASE,
        format!(
            "{database} has {replicas} replicas, and pgops upgrades only databases with one server: set \
             spec.replicas: 1 first"
        ),
    )
}

pub(super) fn major_with_standbys(
    database: &NamespacedName<'_>,
    replicas: i32,
    from: &str,
    to: &str,
) -> Denial {
    deny(
        DenialReason::ReplicasUnsupported,
        TARGET,
        format!(
            "{database} has {replicas} replicas, and pgops upgrades only databases with one server to another major version, as \
             from {from} to {to}: choose a target of the same major version"
        ),
    )
}

pub(super) fn replicas_of_day_two(database: &NamespacedName<'_>, replicas: i32, operation: DayTwo) -> Denial {
    deny(
        DenialReason::ReplicasUnsupported,
        DATABASE,
        format!(
            "{database} has {replicas} replicas, and pgops executes requests of type {operation} only for databases with one \
             server"
        ),
    )
}

pub(super) fn halted(database: &NamespacedName<'_>) -> Denial {
    deny(
        DenialReason::DatabaseHalted,
        DATABASE,
        format!(
            "{database} is halted: set spec.halted: false, wait until it is Ready, then apply the request again"
        ),
    )
}

pub(super) fn paused(database: &NamespacedName<'_>, message: &str) -> Denial {
    let remedy = pause_owner_name(message).map_or_else(
        || {
            "wait until the pause is lifted; if it is no longer needed, remove the condition Paused from the \
             database's status"
                .to_owned()
        },
        |request| {
            format!(
                "wait until that request ends; if it has failed, fix the cause and resume it: {}; if it was deleted, \
                 see docs/runbook.md",
                resume_command(database.namespace, request)
            )
        },
    );
    deny(DenialReason::DatabasePaused, DATABASE, format!("{database} is paused (\"{message}\"): {remedy}"))
}

pub(super) fn not_ready(database: &NamespacedName<'_>, phase: PostgresPhase) -> Denial {
    let NamespacedName { namespace, name } = database;
    deny(
        DenialReason::DatabaseNotReady,
        DATABASE,
        format!(
            "{database} is {phase}, and a request with apply: IfReady starts only when it is Ready: wait for that \
             (kubectl get pg {name} -n {namespace} -w), or set spec.apply: Always"
        ),
    )
}
