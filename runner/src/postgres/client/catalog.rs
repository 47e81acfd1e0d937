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

/// Whether the server accepts writes, which a standby does not.
pub async fn accepts_writes(client: &Client) -> Result<bool, ServerError> {
    let sql = "SELECT pg_is_in_recovery()::text";
    Ok(text(client, "whether the server is a standby", sql).await? == "false")
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

/// Number of relations in the database that `client` is connected to that have files, without those of the server.
pub async fn count_files(client: &Client) -> Result<u64, ServerError> {
    let sql =
        "SELECT count(*)::text FROM pg_class WHERE relkind IN ('r', 'i', 'S', 't', 'm') AND oid >= 16384";
    count(client, "the number of files", sql).await
}

/// Number of user tables in the database that `client` is connected to.
pub async fn count_tables(client: &Client) -> Result<u64, ServerError> {
    let sql = "SELECT count(*)::text FROM pg_class WHERE relkind IN ('r', 'p', 'f') AND oid >= 16384";
    count(client, "the number of tables", sql).await
}

/// What `pg_dump` locks until it ends: tables by `LOCK TABLE`, sequences when it reads their values, which it does in binary
/// upgrade mode, and views when the server prints their definitions, with the foreign tables that they read. Large objects,
/// indexes and types are not locked.
const LOCKED_BY_A_DUMP: &str = "relkind IN ('r', 'p', 'S', 'v', 'm', 'f')";

/// Whether `pg_dump` can lock everything that it needs of the database that `client` is connected to and still leave half of
/// the server's lock table to other clients: when it is full, their statements fail too.
pub async fn has_room_for_locks(client: &Client) -> Result<bool, ServerError> {
    let objects = format!("SELECT count(*)::text FROM pg_class WHERE {LOCKED_BY_A_DUMP} AND oid >= 16384");
    let places = "SELECT (current_setting('max_locks_per_transaction')::int8 * \
         (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8))::text";
    let objects = count(client, "the number of objects that a dump locks", &objects).await?;
    Ok(leaves_half(objects, count(client, "the size of the lock table", places).await?))
}

/// Whether locks on that many objects leave half of the places in a lock table.
fn leaves_half(objects: u64, places: u64) -> bool {
    objects <= places / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dump_may_take_half_of_the_lock_table() {
        let default = 64 * 100;
        assert!(leaves_half(0, default) && leaves_half(3200, default));
        assert!(!leaves_half(3201, default));
    }

    /// A server with 2,000 tables that have a serial column each runs out of locks as one with 4,000 tables does.
    #[test]
    fn dump_locks_sequences_and_views_too() {
        for kind in ['r', 'p', 'S', 'v', 'm', 'f'] {
            assert!(LOCKED_BY_A_DUMP.contains(&format!("'{kind}'")), "{kind}");
        }
        assert!(!LOCKED_BY_A_DUMP.contains("'i'"));
    }
}
