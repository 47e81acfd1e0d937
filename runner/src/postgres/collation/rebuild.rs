//! Rebuilds an index, and removes what interrupted rebuilds have left.

use std::time::Duration;

use pgops_api::PgVersion;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::indexes::{Index, confines_functions};
use crate::postgres::client::database_error::DatabaseError;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings;
use crate::postgres::client::quote::identifier;
use crate::postgres::client::session::with_default_search_path;

/// Whether an index can be rebuilt without filling the volume: it exists twice meanwhile, is sorted in files, and all
/// of it is written to the WAL. A full volume would stop the server.
#[must_use]
pub fn has_room(free: u64, bytes: u64) -> bool {
    const RESERVE: u64 = 64 * 1024 * 1024;
    free >= bytes.saturating_mul(3).saturating_add(RESERVE)
}

/// Rebuilds an index; returns why that failed, with the remedy. The old index is used until the new one is complete.
pub async fn rebuild(
    client: &Client,
    index: &Index,
    server: PgVersion,
) -> Result<Option<String>, ServerError> {
    let statement = index.statement(server);
    if !confines_functions(server) {
        return Ok(Some(format!(
            "{server} would run functions of indexes with the superuser's rights (CVE-2022-1552): upgrade to its newest \
             minor release, then run {statement}"
        )));
    }
    // A concurrent rebuild waits for old transactions without blocking; behind one that waits for a lock others queue.
    let timeout = if index.can_rebuild_concurrently(server) { "0" } else { "60s" };
    let settings = format!("SET lock_timeout = '{timeout}'");
    client.batch_execute(&settings).await.map_err(ServerError::execute("set lock_timeout"))?;
    let Err(error) = with_default_search_path(client, &statement).await else { return Ok(None) };
    if client.is_closed() {
        return Err(ServerError::execute("rebuild an index")(error));
    }
    drop_leftovers(client, index).await?;
    Ok(Some(explain(&error.into(), index, &statement)))
}

fn explain(error: &DatabaseError, index: &Index, statement: &str) -> String {
    if error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
        return format!(
            "table {} has duplicate rows for this unique index: run {statement}, whose error names one of them; keep one of \
             each, and run it again",
            index.table,
        );
    }
    format!("{error}; fix the cause, then run {statement}")
}

/// Drops what a failed or killed rebuild of this index has left.
pub async fn drop_leftovers(client: &Client, index: &Index) -> Result<(), ServerError> {
    let sql = format!(
        "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = {} AND NOT i.indisvalid",
        index.table_oid
    );
    for name in strings(client, "invalid indexes", &sql).await? {
        if is_leftover(&index.name, &name) {
            let statement = format!(
                "DROP INDEX CONCURRENTLY IF EXISTS {}.{}",
                identifier(&index.schema),
                identifier(&name)
            );
            let failed = ServerError::execute("drop the leftover of an index rebuild");
            with_default_search_path(client, &statement).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// Ends rebuilds in this database that the server still runs for a runner that was killed.
pub async fn end_rebuilds(client: &Client) -> Result<(), ServerError> {
    let sql = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'pgops' \
               AND usename = current_user AND datname = current_database() AND pid <> pg_backend_pid() \
               AND query ~ '^(DO .*)?REINDEX INDEX '";
    while !strings(client, "rebuilds of an earlier runner", sql).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Longest name of anything in a database, in bytes.
const LONGEST_NAME: usize = 63;

/// Whether an invalid index of the same table was made by a rebuild of the index `of`: its name is that one with
/// `_ccnew` (not complete) or `_ccold` (replaced) and a number if necessary, truncated to fit.
fn is_leftover(of: &str, name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let Some(stem) = stem.strip_suffix("_ccnew").or_else(|| stem.strip_suffix("_ccold")) else {
        return false;
    };
    // A character of four bytes is truncated as a whole.
    stem == of || (name.len() + 3 >= LONGEST_NAME && of.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::not_complete("words", "words_ccnew", true)]
    #[case::replaced("words", "words_ccold", true)]
    #[case::numbered("words", "words_ccnew12", true)]
    #[case::of_another("words_w", "words_ccnew", false)]
    #[case::of_another_with_a_longer_name("words", "words_w_ccnew", false)]
    #[case::of_a_user("words", "words_new", false)]
    fn leftover_belongs_to_a_rebuild_of_this_index(
        #[case] of: &str,
        #[case] name: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(is_leftover(of, name), expected);
    }

    #[test]
    fn leftover_of_a_long_name_is_truncated() {
        let (long, stem) = ("w".repeat(63), "w".repeat(57));
        assert!(is_leftover(&long, &format!("{stem}_ccnew")));
        assert!(is_leftover(&long, &format!("{}_ccnew1", "w".repeat(56))));
        assert!(!is_leftover(&"v".repeat(63), &format!("{stem}_ccnew")));
    }

    #[test]
    fn rebuild_never_fills_the_volume() {
        const GIB: u64 = 1024 * 1024 * 1024;
        assert!(has_room(4 * GIB, GIB));
        assert!(!has_room(3 * GIB, GIB));
        assert!(!has_room(GIB, u64::MAX));
    }
}
