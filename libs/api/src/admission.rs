//! The decision on a `PostgresOpsRequest`, as a pure function of plain facts.
//!
//! The webhook asks it when a request is created and the launcher asks it again before it acts, so a
//! request that slipped in while the webhook was away ends with the same words.

pub mod defaults;
mod denial;
mod duration;
mod options;
mod warnings;

use std::sync::Arc;
use std::time::Duration;

pub use denial::{Denial, DenialReason};
pub use duration::{GoDurationError, parse_go_duration};
pub use options::{RequestOptions, requested_scope};
pub use warnings::{MAX_WARNING, headline, shorten_warning, unhandled_type, version_change_warnings};

use crate::matrix::{Allowed, Catalog};
use crate::opsrequest::{Apply, Phase};
use crate::plan::{Reindex, Scope, TransferMode, UpgradeKind, VersionRef};
use crate::postgres::{PostgresPhase, StorageType};
use crate::{Postgres, PostgresOpsRequest};

/// Everything that the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The request; its namespace is the database's.
    pub request: &'a PostgresOpsRequest,
    /// The database that it names, if there is one.
    pub database: Option<&'a Postgres>,
    /// The compatibility matrix.
    pub catalog: &'a Catalog,
    /// Other requests that may still change the same database, see [`PostgresOpsRequest::is_active`].
    pub active: &'a [Arc<PostgresOpsRequest>],
}

/// A request that may go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// What the user should hear, each of at most [`MAX_WARNING`] characters.
    pub warnings: Vec<String>,
    /// What is to be done; none for an operation that pgops does not execute.
    pub upgrade: Option<AdmittedUpgrade>,
}

/// What an admitted request asks for, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmittedUpgrade {
    /// What the database has.
    pub from: VersionRef,
    /// What it shall have.
    pub to: VersionRef,
    /// Whether data must be converted.
    pub kind: UpgradeKind,
    /// How much of it is done.
    pub scope: Scope,
    /// The user's choice, if there is one.
    pub transfer_mode: Option<TransferMode>,
    /// How long the old data is kept once the upgrade is done, if the user said so.
    pub keep_old_data: Option<Duration>,
    /// What is done about indexes that the new image would sort in another way.
    pub reindex: Reindex,
    /// Longest time of one step, at least a second.
    pub timeout: Option<Duration>,
    /// How often a failed step is tried again.
    pub max_retries: u32,
}

/// Whether the request may go on, and what it comes to.
///
/// What will never work is named before what may pass: the request's own fields, the database, another
/// request at work (whose outcome the matrix would have to guess), the matrix, then the database's state.
pub fn decide(facts: &Facts<'_>) -> Result<Admitted, Denial> {
    let request = facts.request;
    if !request.updates_version() {
        return Ok(Admitted {
            warnings: vec![unhandled_type(&format!("{:?}", request.spec.type_))],
            upgrade: None,
        });
    }
    let target = request.target().filter(|name| !name.is_empty()).ok_or_else(denial::no_target)?;
    let options = RequestOptions::parse(request)?;
    let place = NamespacedName::named_by(request);
    let database = facts.database.ok_or_else(|| denial::not_found(&place))?;
    if database.metadata.deletion_timestamp.is_some() {
        return Err(denial::deleting(&place));
    }
    if let Some(other) = facts.active.first() {
        let phases: Vec<Phase> = facts.active.iter().map(|request| request.phase()).collect();
        let at_work = facts.active.iter().zip(&phases).find(|(_, phase)| **phase == Phase::Progressing);
        return Err(denial::active(&place, at_work.map_or(other, |(request, _)| request)));
    }
    let matrix = facts.catalog.with_base_os_change(options.base_os);
    let allowed = matrix
        .decide(&database.spec.version, target)
        .map_err(|refusal| denial::matrix(&refusal, matrix.explain(&refusal, &place.to_string())))?;
    check_versions(&allowed)?;
    check_transfer_mode(options.transfer_mode, &allowed)?;
    check_database(database, request, &place)?;
    Ok(Admitted {
        warnings: warnings::upgrade_warnings(&allowed, options.scope, database, &place, options.reindex),
        upgrade: Some(AdmittedUpgrade {
            from: allowed.from.version_ref.clone(),
            to: allowed.to.version_ref.clone(),
            kind: allowed.kind(),
            scope: options.scope,
            transfer_mode: options.transfer_mode,
            keep_old_data: options.keep_old_data,
            reindex: options.reindex,
            timeout: options.timeout,
            max_retries: options.max_retries,
        }),
    })
}

/// Namespace and name of a database, as people write them.
#[derive(Clone, Copy, Debug)]
pub struct NamespacedName<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl<'a> NamespacedName<'a> {
    /// Of the database that a request names.
    #[must_use]
    pub fn named_by(request: &'a PostgresOpsRequest) -> Self {
        Self {
            namespace: request.metadata.namespace.as_deref().unwrap_or_default(),
            name: &request.spec.database_ref.name,
        }
    }

    /// Of a database.
    #[must_use]
    pub fn of(database: &'a Postgres) -> Self {
        let metadata = &database.metadata;
        Self {
            namespace: metadata.namespace.as_deref().unwrap_or_default(),
            name: metadata.name.as_deref().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for NamespacedName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The matrix knows versions that `PostgreSQL` never had, or had before 10; no program of ours does.
pub fn check_versions(allowed: &Allowed<'_>) -> Result<(), Denial> {
    for entry in [allowed.from, allowed.to] {
        entry.release().map_err(|error| denial::unsupported_version(entry.name(), &error))?;
    }
    Ok(())
}

/// The target's `pg_upgrade` must know the mode.
fn check_transfer_mode(mode: Option<TransferMode>, allowed: &Allowed<'_>) -> Result<(), Denial> {
    let major = allowed.to.release().map(|version| version.major).unwrap_or_default();
    match mode {
        Some(mode) if allowed.kind() == UpgradeKind::Major && mode.since() > major => {
            Err(denial::early_transfer_mode(mode, allowed.to.name()))
        }
        _ => Ok(()),
    }
}

/// The state of the database: what must change first, then what may pass by itself.
fn check_database(
    database: &Postgres,
    request: &PostgresOpsRequest,
    place: &NamespacedName<'_>,
) -> Result<(), Denial> {
    if database.spec.storage_type == Some(StorageType::Ephemeral) {
        return Err(denial::ephemeral(place));
    }
    if database.replicas() > 1 {
        return Err(denial::replicas(place, database.replicas()));
    }
    if database.spec.halted == Some(true) || database.phase() == PostgresPhase::Halted {
        return Err(denial::halted(place));
    }
    if let Some(paused) = database.paused() {
        let message = paused.message.as_deref().unwrap_or("no reason given");
        // A pause of this request's own is what a launcher finds that was stopped half way.
        if !database.is_paused_by(request) {
            return Err(denial::paused(place, message));
        }
    } else if database.phase() != PostgresPhase::Ready && request.spec.apply == Apply::IfReady {
        return Err(denial::not_ready(place, database.phase()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod texts;
