//! The decision on a `PostgresOpsRequest`, as a pure function of plain facts.
//!
//! The webhook asks it when a request is created and the launcher asks it again before it acts, so a
//! request that slipped in while the webhook was away ends with the same words.

pub mod defaults;
mod denial;
mod duration;
mod warnings;

use std::sync::Arc;
use std::time::Duration;

pub use denial::{Denial, DenialReason};
pub use duration::{GoDurationError, parse_go_duration};
pub use warnings::{MAX_WARNING, headline, not_ours, of_move, shorten_warning};

use crate::matrix::{Allowed, BaseOsChange, Catalog};
use crate::names::{
    ANNOTATION_ALLOW_BASE_OS_CHANGE, ANNOTATION_DRY_RUN, ANNOTATION_KEEP_OLD_DATA, ANNOTATION_REINDEX,
    ANNOTATION_TRANSFER_MODE,
};
use crate::opsrequest::{Apply, Phase};
use crate::plan::{Reindex, Scope, Side, TransferMode, UpgradeKind};
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
    pub upgrade: Option<Upgrade>,
}

/// What an admitted request asks for, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Upgrade {
    /// What the database has.
    pub from: Side,
    /// What it shall have.
    pub to: Side,
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

/// What the request says, apart from any other object.
struct Wish<'a> {
    target: &'a str,
    base_os: BaseOsChange,
    scope: Scope,
    transfer_mode: Option<TransferMode>,
    keep_old_data: Option<Duration>,
    reindex: Reindex,
    timeout: Option<Duration>,
    max_retries: u32,
}

/// Whether the request may go on, and what it comes to.
///
/// What will never work is named before what may pass: the request's own fields, the database, another
/// request at work (whose outcome the matrix would have to guess), the matrix, then the database's state.
pub fn decide(facts: &Facts<'_>) -> Result<Admitted, Denial> {
    let request = facts.request;
    if !request.updates_version() {
        return Ok(Admitted {
            warnings: vec![not_ours(&format!("{:?}", request.spec.type_))],
            upgrade: None,
        });
    }
    let wish = read_wish(request)?;
    let place = Place::named_by(request);
    let database = facts.database.ok_or_else(|| denial::not_found(&place))?;
    if database.metadata.deletion_timestamp.is_some() {
        return Err(denial::deleting(&place));
    }
    if let Some(other) = facts.active.first() {
        let phases: Vec<Phase> = facts.active.iter().map(|request| request.phase()).collect();
        let at_work = facts.active.iter().zip(&phases).find(|(_, phase)| **phase == Phase::Progressing);
        return Err(denial::active(&place, at_work.map_or(other, |(request, _)| request)));
    }
    let matrix = facts.catalog.under(wish.base_os);
    let allowed = matrix
        .decide(&database.spec.version, wish.target)
        .map_err(|refusal| denial::matrix(&refusal, matrix.explain(&refusal, &place.to_string())))?;
    check_versions(&allowed)?;
    check_transfer_mode(wish.transfer_mode, &allowed)?;
    check_database(database, request, &place)?;
    Ok(Admitted {
        warnings: warnings::of_upgrade(&allowed, wish.scope, database, &place, wish.reindex),
        upgrade: Some(Upgrade {
            from: allowed.from.side.clone(),
            to: allowed.to.side.clone(),
            kind: allowed.kind(),
            scope: wish.scope,
            transfer_mode: wish.transfer_mode,
            keep_old_data: wish.keep_old_data,
            reindex: wish.reindex,
            timeout: wish.timeout,
            max_retries: wish.max_retries,
        }),
    })
}

/// Namespace and name of a database, as people write them.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl<'a> Place<'a> {
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

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn read_wish(request: &PostgresOpsRequest) -> Result<Wish<'_>, Denial> {
    let target = request.target().filter(|name| !name.is_empty()).ok_or_else(denial::no_target)?;
    let timeout = match request.spec.timeout.as_deref() {
        None => None,
        Some(text) => match parse_go_duration(text) {
            Ok(timeout) if timeout >= Duration::from_secs(1) => Some(timeout),
            Ok(_) => return Err(denial::short_timeout(text)),
            Err(error) => return Err(denial::bad_timeout(&error)),
        },
    };
    let max_retries =
        u32::try_from(request.spec.max_retries).map_err(|_| denial::bad_retries(request.spec.max_retries))?;
    let annotation = |name| annotation(request, name);
    let transfer_mode = annotation(ANNOTATION_TRANSFER_MODE)
        .map(|text| TransferMode::parse(text).ok_or_else(|| denial::bad_transfer_mode(text)))
        .transpose()?;
    let keep_old_data = annotation(ANNOTATION_KEEP_OLD_DATA)
        .map(|text| parse_go_duration(text).map_err(|error| denial::bad_keep_old_data(&error)))
        .transpose()?;
    let reindex = annotation(ANNOTATION_REINDEX)
        .map(|text| Reindex::parse(text).ok_or_else(|| denial::bad_reindex(text)))
        .transpose()?
        .unwrap_or_default();
    let base_os = match annotation(ANNOTATION_ALLOW_BASE_OS_CHANGE) {
        None | Some("false") => BaseOsChange::Refused,
        Some("true") => BaseOsChange::Accepted,
        Some(text) => return Err(denial::bad_base_os_change(text)),
    };
    let scope = asked_scope(request)?;
    Ok(Wish { target, base_os, scope, transfer_mode, keep_old_data, reindex, timeout, max_retries })
}

fn annotation<'a>(request: &'a PostgresOpsRequest, name: &str) -> Option<&'a str> {
    request.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// How much of the upgrade the request's annotation asks for.
pub fn asked_scope(request: &PostgresOpsRequest) -> Result<Scope, Denial> {
    match annotation(request, ANNOTATION_DRY_RUN) {
        None | Some("false") => Ok(Scope::Upgrade),
        Some("true") => Ok(Scope::DryRun),
        Some(text) => Err(denial::bad_dry_run(text)),
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
    place: &Place<'_>,
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
