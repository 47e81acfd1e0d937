//! What a user should hear about an upgrade that is admitted: the plan, before anything stops.

use super::NamespacedName;
use crate::Postgres;
use crate::constraint::PostgresMajor;
use crate::matrix::Allowed;
use crate::names::ANNOTATION_REINDEX;
use crate::plan::{Reindex, Scope, UpgradeKind};
use crate::postgres::PostgresPhase;

/// Characters of a warning that the API server passes on.
pub const MAX_WARNING: usize = 256;

/// Cuts a warning to what the API server passes on.
#[must_use]
pub fn shorten_warning(text: &str) -> String {
    if text.chars().count() <= MAX_WARNING {
        return text.to_owned();
    }
    text.chars().take(MAX_WARNING - 1).chain(['…']).collect()
}

/// What the author of a request for another operation should hear.
#[must_use]
pub fn unhandled_type(operation: &str) -> String {
    format!(
        "pgops executes requests of type UpdateVersion; it does nothing with this one of type {operation}"
    )
}

/// What is to be said of an upgrade of this very database.
pub(super) fn upgrade_warnings(
    allowed: &Allowed<'_>,
    scope: Scope,
    database: &Postgres,
    place: &NamespacedName<'_>,
    reindex: Reindex,
) -> Vec<String> {
    let mut lines: Vec<_> =
        (scope == Scope::DryRun).then(|| shorten_warning(&dry_run(place))).into_iter().collect();
    lines.extend(version_change_warnings(allowed, &place.to_string(), reindex));
    lines.extend(not_ready(database, place).map(|line| shorten_warning(&line)));
    lines
}

/// What is to be said of any upgrade between these two versions; the line that says what kind it is
/// comes first. `database` is what the database is called: its `namespace/name`, where there is one.
#[must_use]
pub fn version_change_warnings(allowed: &Allowed<'_>, database: &str, reindex: Reindex) -> Vec<String> {
    let lines = [
        Some(headline(allowed, database)),
        lower_minor(allowed),
        fault(allowed),
        allowed.to.lifecycle_warning(),
        Some(outage(allowed, database)),
        image(allowed, reindex),
    ];
    lines.into_iter().flatten().map(|line| shorten_warning(&line)).collect()
}

/// What kind of upgrade it is, with the major versions that it skips.
#[must_use]
pub fn headline(allowed: &Allowed<'_>, place: &str) -> String {
    let (from, to) = (allowed.from.name(), allowed.to.name());
    if from == to {
        return format!("{place} has {to} already: its image is rolled out anew, and the server restarts");
    }
    if allowed.kind() == UpgradeKind::Minor {
        return format!(
            "minor upgrade {from} → {to} of {place}: the data stays as it is, the server restarts"
        );
    }
    let (low, high) = (allowed.from.version.postgres_major(), allowed.to.version.postgres_major());
    let skipped: Vec<String> = PostgresMajor::between(low, high).map(|major| major.to_string()).collect();
    match skipped.as_slice() {
        [] => format!("major upgrade {from} → {to} of {place}: read the release notes of {high}"),
        [one] => format!(
            "major upgrade {from} → {to} of {place}; it skips {one}: read the release notes of {one} and {high}"
        ),
        [most @ .., last] => format!(
            "major upgrade {from} → {to} of {place}; it skips {} and {last}: read the release notes of each",
            most.join(", ")
        ),
    }
}

fn lower_minor(allowed: &Allowed<'_>) -> Option<String> {
    let (from, to) = (&allowed.from.version_ref.version, &allowed.to.version_ref.version);
    (allowed.kind() == UpgradeKind::Minor && allowed.to.version < allowed.from.version).then(|| {
        format!("{to} is an older minor release than {from}: it lacks the fixes made in between, security fixes among them")
    })
}

fn dry_run(place: &NamespacedName<'_>) -> String {
    format!(
        "dry run: the preflight of {place} runs and nothing is changed; the other warnings are of the upgrade itself"
    )
}

fn not_ready(database: &Postgres, place: &NamespacedName<'_>) -> Option<String> {
    let phase = database.phase();
    (phase != PostgresPhase::Ready).then(|| {
        format!("{place} is {phase}, and the request goes on all the same (apply: Always): the preflight may find no server to ask")
    })
}

fn outage(allowed: &Allowed<'_>, place: &str) -> String {
    let meanwhile = match allowed.kind() {
        UpgradeKind::Minor => "the server restarts",
        UpgradeKind::Major => "pg_upgrade runs",
    };
    format!("{place} has no standby: reads and writes stop while {meanwhile}")
}

fn fault(allowed: &Allowed<'_>) -> Option<String> {
    allowed.to.fault().map(|fault| {
        let (version, fixed) = (&allowed.to.version_ref.version, fault.fixed());
        format!("{version} is a release to skip: {}; take {fixed} or later ({})", fault.what, fault.source())
    })
}

/// Which C library an image brings is in the catalog only where it says the base system.
fn image(allowed: &Allowed<'_>, reindex: Reindex) -> Option<String> {
    let then = match reindex {
        Reindex::Affected => "indexes on text are rebuilt afterwards".to_owned(),
        Reindex::Report => {
            format!("indexes on text are named afterwards, not rebuilt ({ANNOTATION_REINDEX})")
        }
        Reindex::Off => format!("indexes on text need REINDEX; pgops does not look ({ANNOTATION_REINDEX})"),
    };
    if let Some((from, to)) = allowed.from.changed_base_os(allowed.to) {
        return Some(format!(
            "the base system changes from {from} to {to}, and with it the order of text may: where it does, {then}"
        ));
    }
    let (from, to) = (&allowed.from.version_ref.image, &allowed.to.version_ref.image);
    (from != to && allowed.from.name() != allowed.to.name()).then(|| {
        format!("the image changes to {to}: where its C library or ICU sorts text in another way, {then}")
    })
}
