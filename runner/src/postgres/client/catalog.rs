//! Short queries about a server and about one of its databases.

use pgops_api::PgVersion;
use tokio_postgres::Client;

use super::error::ServerError;
use super::query::{count, strings, text};

/// The version of the server.
pub async fn version(client: &Client) -> Result<PgVersion, ServerError> {
    let answer = text(client, "the server version", "SHOW server_version").await?;
    // Distributions append their own: `13.16 (Debian 13.16-0+deb11u1)`.
    let number = answer.split_whitespace().next().unwrap_or_default();
    number.parse().map_err(|_| ServerError::Answer { what: "the server version", answer: answer.clone() })
}

/// The databases that accept connections.
pub async fn databases(client: &Client) -> Result<Vec<String>, ServerError> {
    // A database whose DROP was interrupted has the limit -2, and accepts no connections.
    let sql =
        "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY datname";
    strings(client, "the databases of the server", sql).await
}

/// Number of relations in the database that `client` is connected to, without the system's own.
pub async fn count_relations(client: &Client) -> Result<u64, ServerError> {
    let sql = "SELECT count(*)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
               AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'";
    count(client, "the number of relations", sql).await
}

/// Number of user tables in the database that `client` is connected to.
pub async fn count_tables(client: &Client) -> Result<u64, ServerError> {
    let sql = "SELECT count(*)::text FROM pg_class WHERE relkind IN ('r', 'p', 'f') AND oid >= 16384";
    count(client, "the number of tables", sql).await
}

/// Whether `pg_dump` can lock every table of the database that `client` is connected to and still leave half of
/// the server's lock table to other clients: when it is full, their statements fail too.
pub async fn has_room_for_locks(client: &Client) -> Result<bool, ServerError> {
    let sql = "SELECT (count(*) <= current_setting('max_locks_per_transaction')::int8 / 2.0 * \
               (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8))::text \
               FROM pg_class WHERE relkind IN ('r', 'p', 'f') AND oid >= 16384";
    Ok(text(client, "the room for locks", sql).await? == "true")
}
