//! Why a server could not be reached, queried or changed.

use std::io;
use std::path::PathBuf;

use pgops_tls::ConnectorError;
use tokio_postgres::error::SqlState;

use super::database_error::DatabaseError;
use crate::agent::AgentError;

/// A connection, query or statement failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("failed to read the superuser's {key} from {path}: does the auth secret have that key?")]
    Secret {
        key: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to connect to database \"{database}\" at {host} as the superuser of the auth secret")]
    Connect {
        database: String,
        host: String,
        #[source]
        source: DatabaseError,
    },
    /// The certificates that are mounted for TLS.
    #[error(transparent)]
    Tls(#[from] ConnectorError),
    #[error("failed to connect to the server's socket {path}")]
    Socket {
        path: PathBuf,
        #[source]
        source: AgentError,
    },
    #[error(
        "failed to connect to the server at {path}: another process listens there than at its start, so code that a definition \
         calls as superuser has replaced it; see \"privilege-escalation\" in docs/reference/findings.md"
    )]
    Replaced { path: PathBuf },
    #[error("failed to query {what}")]
    Query {
        /// A noun phrase, or the id of a preflight check.
        what: &'static str,
        #[source]
        source: DatabaseError,
    },
    #[error("failed to {action}")]
    Execute {
        /// A verb phrase, such as `rebuild an index`.
        action: &'static str,
        #[source]
        source: DatabaseError,
    },
    #[error("failed to parse {what} from the server's answer \"{answer}\"")]
    Answer { what: &'static str, answer: String },
}

impl ServerError {
    /// Whether a connection was rejected because its database does not exist or is closed.
    #[must_use]
    pub fn is_without_database(&self) -> bool {
        let Self::Connect { source, .. } = self else { return false };
        let code = source.code();
        code.is_some_and(|code| {
            [SqlState::INVALID_CATALOG_NAME, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE].contains(code)
        })
    }

    /// Whether the agent of the server's container cannot be asked any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Socket { source, .. } if source.lost_container().is_some())
    }

    /// Whether another session has held a lock for longer than `lock_timeout`.
    #[must_use]
    pub fn is_lock_timeout(&self) -> bool {
        match self {
            Self::Query { source, .. } | Self::Execute { source, .. } => {
                source.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
            }
            _ => false,
        }
    }

    /// Whether the server could not look up an object, as after another session has dropped it.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::Query { source, .. } if source.code() == Some(&SqlState::INTERNAL_ERROR))
    }

    /// Whether the server has rejected something and would reject it again, so that the cause is in the database and not in
    /// the connection or the server.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Connect { source, .. } | Self::Query { source, .. } | Self::Execute { source, .. } => {
                source.is_permanent()
            }
            Self::Answer { .. } | Self::Replaced { .. } => true,
            Self::Secret { .. } | Self::Tls(_) | Self::Socket { .. } => false,
        }
    }

    /// Maps the error of a query for `what`.
    pub fn query(what: &'static str) -> impl Fn(tokio_postgres::Error) -> Self + Copy {
        move |source| Self::Query { what, source: source.into() }
    }

    /// Maps the error of a statement that was to perform `action`.
    pub fn execute(action: &'static str) -> impl Fn(tokio_postgres::Error) -> Self + Copy {
        move |source| Self::Execute { action, source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn rejected(code: SqlState) -> ServerError {
        let source = DatabaseError::reported("rejected", code);
        ServerError::Connect { database: "postgres".into(), host: "10.0.0.1".into(), source }
    }

    #[rstest]
    #[case::dropped(SqlState::INVALID_CATALOG_NAME, true)]
    #[case::closed(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, true)]
    #[case::wrong_password(SqlState::INVALID_PASSWORD, false)]
    #[case::server_that_starts(SqlState::CANNOT_CONNECT_NOW, false)]
    fn missing_database_is_told_from_other_rejections(#[case] code: SqlState, #[case] expected: bool) {
        assert_eq!(rejected(code).is_without_database(), expected);
    }

    #[rstest]
    #[case::contents(SqlState::UNDEFINED_FUNCTION, true)]
    #[case::damage(SqlState::DATA_CORRUPTED, true)]
    #[case::shutdown(SqlState::ADMIN_SHUTDOWN, false)]
    #[case::full_disk(SqlState::DISK_FULL, false)]
    #[case::deadlock(SqlState::T_R_DEADLOCK_DETECTED, false)]
    #[case::lock(SqlState::LOCK_NOT_AVAILABLE, false)]
    #[case::connection(SqlState::CONNECTION_FAILURE, false)]
    fn error_is_permanent_if_the_contents_cause_it(#[case] code: SqlState, #[case] expected: bool) {
        assert_eq!(rejected(code).is_permanent(), expected);
    }
}
