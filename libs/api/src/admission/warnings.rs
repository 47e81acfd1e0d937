//! The warnings for an admitted upgrade: what it does, before anything stops.

use super::namespaced_name::NamespacedName;
use super::standbys;
use crate::constraint::PostgresMajor;
use crate::matrix::Allowed;
use crate::names::ANNOTATION_REINDEX;
use crate::plan::{Reindex, Scope, UpgradeKind};
use crate::postgres::PostgresPhase;
use crate::{ExecutedRequests, Postgres};

/// Characters of a warning that the API server forwards.
pub const MAX_WARNING: usize = 256;

/// Truncates a warning to the length that the API server forwards.
#[must_use]
pub fn shorten_warning(text: &str) -> String {
    if text.chars().count() <= MAX_WARNING {
        return text.to_owned();
    }
    text.chars().take(MAX_WARNING - 1).chain(['…']).collect()
}

/// The warning for a request of a type that pgops does not execute.
#[must_use]
pub fn unhandled_type(operation: &str, executed: ExecutedRequests) -> String {
    let types = match executed {
        ExecutedRequests::All => {
            "UpdateVersion, Restart, VerticalScaling, VolumeExpansion, Reconfigure and RotateAuth"
        }
        ExecutedRequests::Upgrades => {
            "UpdateVersion only, since it was installed without its provisioner (provisioner.enabled: false)"
        }
    };
    format!("pgops executes requests of type {types}; it ignores this one of type {operation}")
}

/// Warnings for an upgrade of this database.
pub(super) fn upgrade_warnings(
    allowed: &Allowed<'_>,
    scope: Scope,
    database: &Postgres,
    name: &NamespacedName<'_>,
    reindex: Reindex,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if scope == Scope::DryRun {
        warnings.push(shorten_warning(&dry_run(name)));
    }
    let outage = standbys::outage(database, &name.to_string());
    warnings.extend(warnings_of(allowed, &name.to_string(), outage, reindex));
    warnings.extend(not_ready(database.phase(), name).map(|line| shorten_warning(&line)));
    warnings
}

/// Warnings for any upgrade of one server between these two versions, [`headline`] first. `database` is how to refer to the
/// database: its `namespace/name`, if it exists.
#[must_use]
pub fn version_change_warnings(allowed: &Allowed<'_>, database: &str, reindex: Reindex) -> Vec<String> {
    warnings_of(allowed, database, None, reindex)
}

/// The same, with what stops if there are several servers.
fn warnings_of(
    allowed: &Allowed<'_>,
    database: &str,
    outage_of_several: Option<String>,
    reindex: Reindex,
) -> Vec<String> {
    let lines = [
        Some(headline(allowed, database)),
        lower_minor(allowed),
        fault(allowed),
        fault_of_source(allowed),
        allowed.to.lifecycle_warning(),
        Some(outage_of_several.unwrap_or_else(|| outage(allowed, database))),
        sort_order(allowed, reindex),
    ];
    lines.into_iter().flatten().map(|line| shorten_warning(&line)).collect()
}

/// The kind of upgrade, with the major versions that it skips.
#[must_use]
pub fn headline(allowed: &Allowed<'_>, database: &str) -> String {
    let from = allowed.from.name();
    let to = allowed.to.name();
    if from == to {
        return format!(
            "{database} already runs {to}: the server restarts only if the catalog now has another image for it"
        );
    }
    if allowed.kind() == UpgradeKind::Minor {
        return format!(
            "minor upgrade {from} → {to} of {database}: the data is unchanged, the server restarts"
        );
    }
    let low = allowed.from.version.postgres_major();
    let high = allowed.to.version.postgres_major();
    let skipped: Vec<String> = PostgresMajor::between(low, high).map(|major| major.to_string()).collect();
    match skipped.as_slice() {
        [] => format!("major upgrade {from} → {to} of {database}: read the release notes of {high}"),
        [one] => format!(
            "major upgrade {from} → {to} of {database}; it skips {one}: read the release notes of {one} and {high}"
        ),
        [most @ .., last] => format!(
            "major upgrade {from} → {to} of {database}; it skips {} and {last}: read the release notes of each",
            most.join(", ")
        ),
    }
}

fn lower_minor(allowed: &Allowed<'_>) -> Option<String> {
    let from = &allowed.from.version_ref.version;
    let to = &allowed.to.version_ref.version;
    (allowed.kind() == UpgradeKind::Minor && allowed.to.version < allowed.from.version).then(|| {
        format!("{to} is an older minor release than {from}: it lacks the fixes in between, including security fixes")
    })
}

fn dry_run(database: &NamespacedName<'_>) -> String {
    format!(
        "dry run: only the preflight of {database} runs and nothing is changed; the other warnings apply to the upgrade itself"
    )
}

fn not_ready(phase: PostgresPhase, database: &NamespacedName<'_>) -> Option<String> {
    (phase != PostgresPhase::Ready).then(|| {
        format!("{database} is {phase}, and the request proceeds anyway (apply: Always); the preflight may not be able to connect")
    })
}

fn outage(allowed: &Allowed<'_>, database: &str) -> String {
    if allowed.from.name() == allowed.to.name() {
        return format!("{database} has no standby: if the server restarts, reads and writes stop meanwhile");
    }
    let meanwhile = match allowed.kind() {
        UpgradeKind::Minor => "the server restarts",
        UpgradeKind::Major => "pg_upgrade runs",
    };
    format!("{database} has no standby: reads and writes stop while {meanwhile}")
}

fn fault(allowed: &Allowed<'_>) -> Option<String> {
    allowed.to.fault().map(|fault| {
        let version = &allowed.to.version_ref.version;
        let what = if fault.is_regression() { "should be skipped" } else { "is vulnerable" };
        format!(
            "{version} {what}: {}; use {} or later ({})",
            fault.symptom(),
            fault.sound_release(),
            fault.release_notes()
        )
    })
}

/// A major upgrade dumps the schema of the source as its superuser.
fn fault_of_source(allowed: &Allowed<'_>) -> Option<String> {
    let fault = allowed.from.fault_as_source().filter(|_| allowed.kind() == UpgradeKind::Major)?;
    Some(format!(
        "{} is vulnerable: {}; upgrade it to {} or later first ({})",
        allowed.from.version_ref.version,
        fault.symptom(),
        fault.sound_release(),
        fault.release_notes()
    ))
}

/// A change of the sort order of text. The catalog tells the C library of an image only if it has the base
/// system.
fn sort_order(allowed: &Allowed<'_>, reindex: Reindex) -> Option<String> {
    let consequence = match reindex {
        Reindex::Affected => "indexes on text are rebuilt afterwards".to_owned(),
        Reindex::Report => {
            format!("indexes on text are listed afterwards, not rebuilt ({ANNOTATION_REINDEX})")
        }
        Reindex::Off => {
            format!("indexes on text need REINDEX; pgops does not check them ({ANNOTATION_REINDEX})")
        }
    };
    if let Some((from, to)) = allowed.from.changed_base_os(allowed.to) {
        return Some(format!(
            "the base system changes from {from} to {to}, and with it possibly the order of text: if so, {consequence}"
        ));
    }
    let from = &allowed.from.version_ref.image;
    let to = &allowed.to.version_ref.image;
    (from != to && allowed.from.name() != allowed.to.name()).then(|| {
        format!("the image changes to {to}: if its C library or ICU sorts text differently, {consequence}")
    })
}
