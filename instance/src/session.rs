//! Sessions of the instance itself, by the server's socket, which needs no password.

use std::path::Path;

use pgops_api::session_options::{SessionKind, session_options};
use pgops_api::{layout, names};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

/// The database that every server has after `initdb`, and the one that takes its place if users have dropped or closed it.
const DATABASE: &str = "postgres";
const OTHER_DATABASE: &str = "template1";

/// Opens sessions.
#[derive(Clone)]
pub struct OwnSessions(Config);

/// A session. It ends with its client.
pub struct OwnSession {
    pub client: Client,
    /// The version that the server reports to every client.
    pub server_version: Option<String>,
}

impl OwnSessions {
    /// Sessions of the superuser with the server of this pod, which has this major version.
    pub fn new(superuser: &str, major: u32) -> Self {
        Self::at(Path::new(layout::SOCKET_DIR), superuser, major)
    }

    /// The same, with the server whose socket is in the directory.
    pub fn at(directory: &Path, superuser: &str, major: u32) -> Self {
        let mut config = Config::new();
        config
            .host_path(directory)
            .port(names::POSTGRES_PORT)
            .user(superuser)
            .dbname(DATABASE)
            // What users have stored for databases and roles, and what they do at a login, says nothing about the server.
            .options(session_options(SessionKind::Own, major))
            .application_name("pgops-instance");
        Self(config)
    }

    /// Opens one, at last in the other database and without the options: a server answers if a client can use it at all.
    pub async fn open(&mut self) -> Result<OwnSession, tokio_postgres::Error> {
        loop {
            match self.0.connect(NoTls).await {
                Err(error) if adapt(&mut self.0, error.code()) => {}
                Err(error) => return Err(error),
                Ok((client, connection)) => {
                    let server_version = connection.parameter("server_version").map(ToOwned::to_owned);
                    // It ends with the client, and its failure makes the client's queries fail too.
                    tokio::spawn(connection);
                    return Ok(OwnSession { client, server_version });
                }
            }
        }
    }
}

/// Changes what the server has rejected, for all later connections; returns whether there was something to change.
fn adapt(config: &mut Config, rejection: Option<&SqlState>) -> bool {
    let is_missing = [SqlState::INVALID_CATALOG_NAME, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE];
    match rejection {
        Some(code) if is_missing.contains(code) && config.get_dbname() == Some(DATABASE) => {
            config.dbname(OTHER_DATABASE);
            true
        }
        // The role is not a superuser any more.
        Some(code)
            if *code == SqlState::INSUFFICIENT_PRIVILEGE
                && config.get_options().is_some_and(|options| !options.is_empty()) =>
        {
            config.options("");
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_asked_in_another_database_if_the_usual_one_is_dropped_or_closed() {
        for code in [SqlState::INVALID_CATALOG_NAME, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE] {
            let mut config = Config::new();
            config.dbname(DATABASE);
            assert!(adapt(&mut config, Some(&code)));
            assert_eq!(config.get_dbname(), Some("template1"));
            assert!(!adapt(&mut config, Some(&code)), "there is no third one");
        }
    }

    #[test]
    fn readiness_needs_no_superuser() {
        let mut config = Config::new();
        config.dbname(DATABASE).options(session_options(SessionKind::Own, 17));
        assert!(adapt(&mut config, Some(&SqlState::INSUFFICIENT_PRIVILEGE)));
        assert_eq!(config.get_options(), Some(""));
        for code in [Some(&SqlState::INSUFFICIENT_PRIVILEGE), Some(&SqlState::CANNOT_CONNECT_NOW), None] {
            assert!(!adapt(&mut config, code));
        }
    }
}
