//! Checks of the database that a request names, whatever the request changes.

use super::denial::Denial;
use super::facts::Facts;
use super::messages;
use super::namespaced_name::NamespacedName;
use crate::opsrequest::{Apply, Phase};
use crate::postgres::PostgresPhase;
use crate::{Postgres, PostgresOpsRequest};

/// The database, if it exists, is not being deleted, and no other request is active on it.
pub(super) fn available_database<'a>(
    facts: &Facts<'a>,
    name: &NamespacedName<'_>,
) -> Result<&'a Postgres, Denial> {
    let database = facts.database.ok_or_else(|| messages::not_found(name))?;
    if database.metadata.deletion_timestamp.is_some() {
        return Err(messages::deleting(name, facts.request.day_two()));
    }
    if let Some(other) = facts.active.first() {
        let phases: Vec<Phase> = facts.active.iter().map(|request| request.phase()).collect();
        let running = facts.active.iter().zip(&phases).find(|(_, phase)| **phase == Phase::Progressing);
        return Err(messages::active(name, running.map_or(other, |(request, _)| request)));
    }
    Ok(database)
}

/// Whether its owner has stopped the database, and whether it serves.
pub(super) fn check_running(
    database: &Postgres,
    request: &PostgresOpsRequest,
    name: &NamespacedName<'_>,
) -> Result<(), Denial> {
    if database.spec.halted == Some(true) || database.phase() == PostgresPhase::Halted {
        return Err(messages::halted(name));
    }
    if let Some(paused) = database.paused() {
        let message = paused.message.as_deref().unwrap_or("no reason given");
        // A launcher that was interrupted finds the pause of the request itself.
        if !database.is_paused_by(request) {
            return Err(messages::paused(name, message));
        }
    } else if database.phase() != PostgresPhase::Ready && request.spec.apply == Apply::IfReady {
        return Err(messages::not_ready(name, database.phase()));
    }
    Ok(())
}
