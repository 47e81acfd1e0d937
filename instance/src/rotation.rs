//! Gives the server the next password of its superuser, once the database's Secret has one: through the socket of the pod, which
//! requires no password. The server never sees the password itself, and neither does its log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pgops_api::instance_status::{PasswordRotation, PasswordState};
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
                match apply(directory, &superuser, major).await {
                    Ok(()) => {
                        tracing::info!("the server has the next password of its superuser");
                        // What was known of the present one is outdated.
                        report.set_password(PasswordState::Unknown);
                        rotation.applied.clone_from(&rotation.pending);
                        rotation.error = None;
                    }
                    Err(error) => {
                        if rotation.error.as_ref() != Some(&error) {
                            tracing::warn!(
                                "failed to give the server the next password of its superuser: {error}"
                            );
                        }
                        rotation.error = Some(error);
                    }
                }
            }
            report.set_rotation(rotation.clone());
            tokio::time::sleep(INTERVAL).await;
        }
    });
}

/// The error has no part of the password.
async fn apply(directory: &Path, superuser: &str, major: u32) -> Result<(), String> {
    let password =
        one_line(directory, names::NEXT_PASSWORD).map_err(|error| pgops_api::display_chain(&error))?;
    match tokio::time::timeout(TIMEOUT, set_password(superuser, &password, major)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match error.as_db_error() {
            Some(server) => format!("the server reports SQLSTATE {}: see its log", server.code().code()),
            None => format!("the server cannot be reached: {error}"),
        }),
        Err(_) => Err(format!("the server has not answered within {} s", TIMEOUT.as_secs())),
    }
}

async fn set_password(superuser: &str, password: &str, major: u32) -> Result<(), tokio_postgres::Error> {
    let session = OwnSessions::new(superuser, major).open().await?;
    session.client.batch_execute(&unlogged::statement(major)).await?;
    session.client.batch_execute(&statement(superuser, &scram_sha_256(password.as_bytes()))).await
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
    fn statement_is_alone_in_its_message() {
        assert!(!statement("postgres", "v").contains(';'));
    }
}
