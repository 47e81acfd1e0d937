//! Why a server could not be reached, queried or changed.

use std::io;
use std::path::PathBuf;

use super::database_error::DatabaseError;

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
    #[error("failed to connect to the server's socket {path}")]
    Socket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
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
    /// Maps the error of a query for `what`.
    pub fn query(what: &'static str) -> impl Fn(tokio_postgres::Error) -> Self + Copy {
        move |source| Self::Query { what, source: source.into() }
    }

    /// Maps the error of a statement that was to perform `action`.
    pub fn execute(action: &'static str) -> impl Fn(tokio_postgres::Error) -> Self + Copy {
        move |source| Self::Execute { action, source: source.into() }
    }
}
