//! Gives the server the next password of its superuser, once the database's Secret has one: through the socket of the pod, which
//! requires no password. The server never sees the password itself, and neither does its log. A standby gets it from its primary.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pgops_api::instance_status::{PasswordRotation, PasswordSetter, PasswordState};
use pgops_api::{layout, names};
use postgres_protocol::escape::escape_identifier;
use postgres_protocol::password::scram_sha_256;

use crate::credentials::one_line;
use crate::report::StatusReport;
use crate::session::OwnSessions;
use crate::unlogged;

/// Interval between two reads of the files, which the kubelet replaces within about a minute after a change.
const INTERVAL: Duration = Duration::from_secs(2);
/// Timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Watches until the process ends. A server that is restarted gets the password again, if it still is the next one.
pub fn watch(report: Arc<StatusReport>, superuser: String, major: u32) {
    tokio::spawn(async move {
        let mut rotation = PasswordRotation::default();
        loop {
            let directory = Path::new(layout::NEXT_AUTH_DIR);
            rotation.pending = one_line(directory, names::NEXT_PASSWORD_ID).ok();
            if rotation.pending.is_some() && rotation.pending != rotation.applied {
                let result = apply(directory, &superuser, major).await;
                if result == Ok(PasswordSetter::ThisServer) {
                    // What was known of the present one is outdated.
                    report.set_password(PasswordState::Unknown);
                }
                record(&mut rotation, result);
            }
            report.set_rotation(rotation.clone());
            tokio::time::sleep(INTERVAL).await;
        }
    });
}

/// Records what became of an attempt; what is new is logged.
fn record(rotation: &mut PasswordRotation, result: Result<PasswordSetter, String>) {
    let before = rotation.clone();
    rotation.setter = *result.as_ref().unwrap_or(&rotation.setter);
    rotation.error = result.clone().err();
    match result {
        Ok(PasswordSetter::ThisServer) => {
            tracing::info!("the server has the next password of its superuser");
            rotation.applied.clone_from(&rotation.pending);
        }
        Ok(PasswordSetter::Primary) if before.setter != PasswordSetter::Primary => {
            tracing::info!("the primary sets the next password of its superuser: this server is a standby");
        }
        Err(error) if before.error.as_ref() != Some(&error) => {
            tracing::warn!("failed to give the server the next password of its superuser: {error}");
        }
        Ok(PasswordSetter::Primary) | Err(_) => {}
    }
}

/// Sets it, unless this server is a standby. The error has no part of the password.
async fn apply(directory: &Path, superuser: &str, major: u32) -> Result<PasswordSetter, String> {
    let password =
        one_line(directory, names::NEXT_PASSWORD).map_err(|error| pgops_api::display_chain(&error))?;
    match tokio::time::timeout(TIMEOUT, set_password(superuser, &password, major)).await {
        Ok(Ok(setter)) => Ok(setter),
        Ok(Err(error)) => Err(match error.as_db_error() {
            Some(server) => format!("the server reports SQLSTATE {}: see its log", server.code().code()),
            None => format!("the server cannot be reached: {error}"),
        }),
        Err(_) => Err(format!("the server has not answered within {} s", TIMEOUT.as_secs())),
    }
}

async fn set_password(
    superuser: &str,
    password: &str,
    major: u32,
) -> Result<PasswordSetter, tokio_postgres::Error> {
    let client = OwnSessions::new(superuser, major).open().await?.client;
    let in_recovery: bool =
        client.query_one("SELECT pg_catalog.pg_is_in_recovery()", &[]).await?.try_get(0)?;
    if in_recovery {
        return Ok(PasswordSetter::Primary);
    }
    client.batch_execute(&unlogged::statement(major)).await?;
    client.batch_execute(&statement(superuser, &scram_sha_256(password.as_bytes()))).await?;
    Ok(PasswordSetter::ThisServer)
}

fn statement(superuser: &str, verifier: &str) -> String {
    format!("ALTER ROLE {} PASSWORD '{verifier}'", escape_identifier(superuser))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_has_a_verifier_and_a_quoted_role_and_no_password() {
        let verifier = scram_sha_256(b"s3cret");
        let text = statement("a\"b", &verifier);
        assert_eq!(text, format!("ALTER ROLE \"a\"\"b\" PASSWORD '{verifier}'"));
        assert!(verifier.starts_with("SCRAM-SHA-256$4096:") && !text.contains("s3cret"), "{text}");
        assert!(!verifier.contains('\''), "{verifier}");
    }

    #[test]
    fn password_of_a_standby_is_left_to_its_primary_without_an_error() {
        let mut rotation =
            PasswordRotation { pending: Some("3f9c".to_owned()), ..PasswordRotation::default() };
        record(&mut rotation, Err("the server cannot be reached".to_owned()));
        assert!(rotation.error.is_some() && rotation.setter == PasswordSetter::ThisServer);
        record(&mut rotation, Ok(PasswordSetter::Primary));
        assert_eq!(
            (rotation.setter, &rotation.applied, &rotation.error),
            (PasswordSetter::Primary, &None, &None)
        );
        record(&mut rotation, Err("the server cannot be reached".to_owned()));
        assert_eq!(rotation.setter, PasswordSetter::Primary, "nothing else is known");
        // It was promoted.
        record(&mut rotation, Ok(PasswordSetter::ThisServer));
        assert_eq!(rotation.applied, rotation.pending);
        assert_eq!((rotation.setter, rotation.error), (PasswordSetter::ThisServer, None));
    }

    #[test]
    fn statement_is_alone_in_its_message() {
        assert!(!statement("postgres", "v").contains(';'));
    }
}
