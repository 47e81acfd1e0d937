//! Whether a server compiles expensive queries. It loads its provider with the first of them, and a provider that lacks a library of
//! its own (LLVM) fails each of them.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::database_error::DatabaseError;
use super::error::ServerError;
use super::query::text;

const WHAT: &str = "the JIT compiler";
/// The provider of `PostgreSQL` itself.
pub const DEFAULT_PROVIDER: &str = "llvmjit";

/// What a session with `jit = on` meets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Jit {
    Compiles,
    /// Without a provider queries are only interpreted.
    NoProvider,
    /// Expensive queries fail: the server's error.
    Fails(String),
}

/// Tries it in a session of its own, which is to end: it has loaded the provider.
pub async fn jit(client: &Client) -> Result<Jit, ServerError> {
    let failed = ServerError::query(WHAT);
    client.batch_execute("SET jit = on").await.map_err(failed)?;
    let available = |row: Row| row.try_get(0).map_err(failed);
    match client.query_one("SELECT pg_jit_available()", &[]).await {
        Ok(row) => Ok(if available(row)? { Jit::Compiles } else { Jit::NoProvider }),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_FUNCTION) => Ok(Jit::NoProvider),
        Err(error) if error.as_db_error().is_some() => Ok(Jit::Fails(DatabaseError::from(error).to_string())),
        Err(error) => Err(failed(error)),
    }
}

/// The provider of a server that compiles queries, by its configuration: in sessions of pgops it is off.
pub async fn provider(client: &Client) -> Result<Option<String>, ServerError> {
    let sql = "SELECT CASE WHEN COALESCE( \
                 (SELECT setting FROM pg_file_settings WHERE name = 'jit' AND error IS NULL ORDER BY seqno DESC LIMIT 1), \
                 (SELECT boot_val FROM pg_settings WHERE name = 'jit'), 'off')::bool \
               THEN (SELECT setting FROM pg_settings WHERE name = 'jit_provider') ELSE '' END";
    Ok(Some(text(client, WHAT, sql).await?).filter(|provider| !provider.is_empty()))
}
