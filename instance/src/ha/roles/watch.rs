//! Keeps the roles on the primary as they must be: each time that this server has become one it gets the mounted passwords, and a role
//! that a user has dropped is made again.

use std::time::Duration;

use tokio_postgres::Client;

use super::statements::{ROLES, complete, create};
use crate::ha::secret::Passwords;
use crate::session::OwnSessions;
use crate::unlogged;

/// Pause after an attempt that failed: the server may be starting.
const RETRY: Duration = Duration::from_secs(2);
/// Pause before a standby, or a primary with all of it, is asked again.
const INTERVAL: Duration = Duration::from_secs(15);
/// Timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Watches until the process ends.
pub fn watch(superuser: &str, major: u32) {
    let sessions = OwnSessions::new(superuser, major);
    tokio::spawn(async move {
        let mut applied: Option<Passwords> = None;
        let mut last_error: Option<Failure> = None;
        loop {
            let result = look(sessions.clone(), major, &mut applied).await;
            let error = result.err();
            if let Some(Failure::Server(reason)) = &error
                && last_error != error
            {
                tracing::warn!(
                    "failed to set the roles of the servers of this database: {reason}: see its log"
                );
            }
            tokio::time::sleep(if error.is_none() { INTERVAL } else { RETRY }).await;
            last_error = error;
        }
    });
}

/// Why nothing is known, or done.
#[derive(Debug, Eq, PartialEq)]
enum Failure {
    /// The server does not answer.
    Silence,
    /// What it reports, without what it quotes.
    Server(String),
    /// The Secret cannot be read.
    Secret,
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(server) => Self::Server(format!("the server reports SQLSTATE {}", server.code().code())),
            None => Self::Silence,
        }
    }
}

async fn look(mut sessions: OwnSessions, major: u32, applied: &mut Option<Passwords>) -> Result<(), Failure> {
    let passwords = Passwords::mounted().map_err(|_| Failure::Secret)?;
    let work = async {
        let client = sessions.open().await.map_err(|_| Failure::Silence)?.client;
        let seen = observe(&client).await?;
        if seen.in_recovery {
            *applied = None;
        } else if !seen.missing.is_empty() || applied.as_ref() != Some(&passwords) {
            apply(&client, major, &seen.missing, &passwords).await?;
            tracing::info!("the roles of the servers of this database have the passwords of their Secret");
            *applied = Some(passwords);
        }
        Ok::<_, Failure>(())
    };
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or(Err(Failure::Silence))
}

/// What a server has.
struct Seen {
    in_recovery: bool,
    missing: Vec<&'static str>,
}

async fn observe(client: &Client) -> Result<Seen, tokio_postgres::Error> {
    let row = client.query_one("SELECT pg_catalog.pg_is_in_recovery()", &[]).await?;
    let rows = client
        .query("SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles WHERE rolname ~ '^pgops_'", &[])
        .await?;
    let found: Vec<String> =
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, tokio_postgres::Error>>()?;
    let missing = ROLES.into_iter().filter(|role| !found.iter().any(|found| found == role)).collect();
    Ok(Seen { in_recovery: row.try_get(0)?, missing })
}

async fn apply(
    client: &Client,
    major: u32,
    missing: &[&'static str],
    passwords: &Passwords,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(&unlogged::statement(major)).await?;
    // A commit that waited for a standby would wait for ever: none can stream without its role.
    client.batch_execute("SET synchronous_commit = 'local'").await?;
    for statement in missing.iter().copied().map(create).chain(complete(passwords)) {
        client.batch_execute(&statement).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_done_without_the_secret() {
        let mut applied = None;
        let result = look(OwnSessions::new("postgres", 17), 17, &mut applied).await;
        assert_eq!(result, Err(Failure::Secret));
        assert!(applied.is_none());
    }
}
