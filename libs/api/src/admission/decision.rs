//! Whether a request is admitted, and the upgrade that it stands for.

use super::annotations::annotation_warnings;
use super::database_checks::{available_database, check_running};
use super::day_two;
use super::denial::Denial;
use super::facts::Facts;
use super::messages;
use super::namespaced_name::NamespacedName;
use super::options::RequestOptions;
use super::standbys;
use super::warnings::{shorten_warning, unhandled_type, upgrade_warnings};
use crate::matrix::Allowed;
use crate::plan::{TransferMode, UpgradeKind, VersionRef};
use crate::postgres::StorageType;
use crate::{ExecutedRequests, Postgres};

/// An admitted request.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// Warnings for the user, each of at most [`MAX_WARNING`](super::MAX_WARNING) characters.
    pub warnings: Vec<String>,
    /// The upgrade; none for an operation that changes no version.
    pub upgrade: Option<AdmittedUpgrade>,
}

/// The upgrade of an admitted request, with parsed options.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmittedUpgrade {
    /// Version of the database now.
    pub from: VersionRef,
    /// Version of the database after the upgrade.
    pub to: VersionRef,
    /// Whether data must be converted.
    pub kind: UpgradeKind,
    /// The options of the request, from its fields and annotations.
    pub options: RequestOptions,
}

/// Decides whether the request is admitted, and returns the upgrade that it stands for.
///
/// Errors that can never go away come before those that may: the request's own fields, the database, another
/// active request (whose outcome the matrix would have to guess), the matrix, then the database's state.
pub fn decide(facts: &Facts<'_>) -> Result<Admitted, Denial> {
    let request = facts.request;
    if let Some(operation) = request.day_two() {
        return Ok(Admitted { warnings: day_two::decide(facts, operation)?, upgrade: None });
    }
    if !request.updates_version() {
        return Ok(Admitted {
            warnings: vec![unhandled_type(&request.spec.type_.to_string(), ExecutedRequests::All)],
            upgrade: None,
        });
    }
    let target = request.target().filter(|name| !name.is_empty()).ok_or_else(messages::no_target)?;
    let options = RequestOptions::parse(request)?;
    let name = NamespacedName::named_by(request);
    let database = available_database(facts, &name)?;
    let matrix = facts.catalog.with_base_os_change(options.base_os);
    let allowed = matrix
        .decide(&database.spec.version, target)
        .map_err(|refusal| messages::matrix(&refusal, matrix.explain(&refusal, &name.to_string())))?;
    check_versions(&allowed)?;
    check_transfer_mode(options.transfer_mode, &allowed)?;
    check_database(facts, database, &allowed, &name)?;
    let mut warnings = upgrade_warnings(&allowed, options.scope, database, &name, options.reindex);
    let annotations = annotation_warnings(request, &allowed, &options);
    warnings.extend(annotations.iter().map(|warning| shorten_warning(warning)));
    Ok(Admitted {
        warnings,
        upgrade: Some(AdmittedUpgrade {
            from: allowed.from.version_ref.clone(),
            to: allowed.to.version_ref.clone(),
            kind: allowed.kind(),
            options,
        }),
    })
}

/// Denies versions that the matrix can compare, but that do not exist as releases or are older than
/// `PostgreSQL` 10: no program of pgops supports them.
pub fn check_versions(allowed: &Allowed<'_>) -> Result<(), Denial> {
    for entry in [allowed.from, allowed.to] {
        entry.release().map_err(|error| messages::unsupported_version(entry.name(), &error))?;
    }
    Ok(())
}

/// The target's `pg_upgrade` must support the mode.
fn check_transfer_mode(mode: Option<TransferMode>, allowed: &Allowed<'_>) -> Result<(), Denial> {
    let major = allowed.to.release().map(|version| version.major).unwrap_or_default();
    match mode {
        Some(mode) if allowed.kind() == UpgradeKind::Major && mode.since() > major => {
            Err(messages::early_transfer_mode(mode, allowed.to.name()))
        }
        _ => Ok(()),
    }
}

/// The state of the database: first what the user must change, then what may pass by itself.
fn check_database(
    facts: &Facts<'_>,
    database: &Postgres,
    allowed: &Allowed<'_>,
    name: &NamespacedName<'_>,
) -> Result<(), Denial> {
    if database.spec.storage_type == Some(StorageType::Ephemeral) {
        return Err(messages::ephemeral(name));
    }
    standbys::check_upgrade(database, facts.standbys, allowed, name)?;
    check_running(database, facts.request, name)
}
