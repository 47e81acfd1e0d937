//! Indexes that were built by other rules of text, and how they are rebuilt.

use pgops_api::{PgVersion, display_chain};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use crate::postgres::client::session::{ServerError, as_everybody, identifier, strings};
use crate::postgres::collation::changes::Marks;

/// An index whose order may be wrong.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Index {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its table, quoted and qualified.
    pub table: String,
    /// The table's OID.
    pub table_oid: u32,
    /// Its access method, such as `btree`.
    pub method: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether it backs an exclusion constraint.
    pub excludes: bool,
    /// Whether it is one of the system's own.
    pub is_system: bool,
}

impl Index {
    /// Its name, quoted and qualified.
    #[must_use]
    pub fn qualified(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// Whether it can be rebuilt beside its users.
    fn concurrently(&self, server: PgVersion) -> bool {
        // Before 12 nothing can, and 14.0 to 14.3 may leave rows out.
        let trusted = server.major >= 12 && !(server.major == 14 && server.minor < 4);
        trusted && !self.excludes && !self.is_system
    }

    /// What rebuilds it: beside its users where `PostgreSQL` can do that, else with a lock on its table.
    #[must_use]
    pub fn statement(&self, server: PgVersion) -> String {
        let concurrently = if self.concurrently(server) { "CONCURRENTLY " } else { "" };
        format!("REINDEX INDEX {concurrently}{}", self.qualified())
    }
}

/// Whether an index can be rebuilt without filling the volume: it is there twice, is sorted in files, and
/// all of it goes through the log. A full volume would stop the server.
#[must_use]
pub fn has_room(free: u64, bytes: u64) -> bool {
    const RESERVE: u64 = 64 * 1024 * 1024;
    free >= bytes.saturating_mul(3).saturating_add(RESERVE)
}

/// The indexes of the database that have one of the collations, or whose expressions, predicate or operators depend
/// on what has changed. Composite types, ranges and `jsonb`, whose strings sort by the default, have no collation of
/// their own and compare by one all the same.
pub async fn affected(client: &Client, marks: &Marks) -> Result<Vec<Index>, ServerError> {
    let sql = "WITH RECURSIVE keys (index, type) AS ( \
           SELECT k.attrelid, k.atttypid FROM pg_attribute k JOIN pg_index i ON i.indexrelid = k.attrelid \
           UNION SELECT k.index, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END \
             FROM keys k JOIN pg_type t ON t.oid = k.type WHERE t.typtype = 'd' OR t.typcategory = 'A') \
         SELECT n.nspname::text, c.relname::text, format('%I.%I', tn.nspname, t.relname), t.oid, \
         a.amname::text, pg_relation_size(c.oid), i.indisexclusion, n.nspname = 'pg_catalog' \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace \
         JOIN pg_am a ON a.oid = c.relam \
         WHERE c.relkind = 'i' AND i.indisvalid AND c.relpersistence <> 't' AND (i.indcollation::oid[] && $1::oid[] \
         OR concat(i.indexprs::text, i.indpred::text) ~ $2 \
         OR EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.deptype = 'e' \
         AND d.classid = 'pg_opclass'::regclass AND d.objid = ANY(i.indclass) AND e.extname = ANY($3)) \
         OR EXISTS (SELECT FROM keys k JOIN pg_type t ON t.oid = k.type \
         WHERE k.index = c.oid AND cardinality($1::oid[]) > 0 AND (t.typtype IN ('c', 'm') \
         OR t.oid = 'jsonb'::regtype AND a.amname = 'btree' AND 100 = ANY($1::oid[]) \
         OR t.typtype = 'r' AND (SELECT rngcollation FROM pg_range WHERE rngtypid = t.oid) = ANY($1::oid[]))))";
    let failed = |source| ServerError::Query { what: "indexes that depend on rules of text", source };
    let parameters: [&(dyn ToSql + Sync); 3] = [&marks.reordered, &marks.pattern, &marks.extensions];
    let rows = client.query(sql, &parameters).await.map_err(failed)?;
    let read = |row: &tokio_postgres::Row| {
        Ok(Index {
            schema: row.try_get(0)?,
            name: row.try_get(1)?,
            table: row.try_get(2)?,
            table_oid: row.try_get(3)?,
            method: row.try_get(4)?,
            bytes: u64::try_from(row.try_get::<_, i64>(5)?).unwrap_or(0),
            excludes: row.try_get(6)?,
            is_system: row.try_get(7)?,
        })
    };
    let mut indexes = rows.iter().map(|row| read(row).map_err(failed)).collect::<Result<Vec<_>, _>>()?;
    indexes.sort();
    Ok(indexes)
}

/// How large indexes are together, in bytes, in the database that `client` is connected to.
pub async fn bytes(client: &Client, indexes: &[Index]) -> Result<u64, ServerError> {
    let sql =
        "SELECT COALESCE(sum(pg_relation_size(to_regclass(name))), 0)::int8 FROM unnest($1::text[]) AS name";
    let names: Vec<String> = indexes.iter().map(Index::qualified).collect();
    let answer = client.query_one(sql, &[&names]).await.and_then(|row| row.try_get::<_, i64>(0));
    let bytes = answer.map_err(|source| ServerError::Query { what: "the size of indexes", source })?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Rebuilds an index; gives why it could not be, with the remedy. The old one is in use until then.
pub async fn rebuild(
    client: &Client,
    index: &Index,
    server: PgVersion,
) -> Result<Option<String>, ServerError> {
    let statement = index.statement(server);
    // Beside its users it waits for old transactions, in nobody's way; with a lock others queue behind it.
    let patience = if index.concurrently(server) { "0" } else { "60s" };
    let settings = format!("SET lock_timeout = '{patience}'");
    let failed = |source| ServerError::Query { what: "a session to rebuild an index", source };
    client.batch_execute(&settings).await.map_err(failed)?;
    let Err(error) = as_everybody(client, &statement).await else { return Ok(None) };
    if client.is_closed() {
        return Err(ServerError::Query { what: "an index to be rebuilt", source: error });
    }
    drop_leftovers(client, index).await?;
    Ok(Some(explain(&error, index, &statement)))
}

fn explain(error: &tokio_postgres::Error, index: &Index, statement: &str) -> String {
    let duplicate = error.as_db_error().filter(|error| *error.code() == SqlState::UNIQUE_VIOLATION);
    match duplicate {
        Some(duplicate) => format!(
            "table {} has rows that are equal, and the index must be unique. {}; keep one of them, then run {statement}",
            index.table,
            duplicate.detail().unwrap_or("the server does not say which").trim_end_matches('.'),
        ),
        None => format!("{}; mend that, then run {statement}", display_chain(error)),
    }
}

/// Removes what a rebuild of this index that failed or was killed has left behind.
pub async fn drop_leftovers(client: &Client, index: &Index) -> Result<(), ServerError> {
    let sql = format!(
        "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = {} AND NOT i.indisvalid",
        index.table_oid
    );
    for name in strings(client, "indexes that were left behind", &sql).await? {
        if is_leftover(&index.name, &name) {
            let statement = format!(
                "DROP INDEX CONCURRENTLY IF EXISTS {}.{}",
                identifier(&index.schema),
                identifier(&name)
            );
            let what = "an index that was left behind to be dropped";
            as_everybody(client, &statement).await.map_err(|source| ServerError::Query { what, source })?;
        }
    }
    Ok(())
}

/// Ends what an earlier runner, killed meanwhile, has the server still rebuild in this database.
pub async fn end_rebuilds(client: &Client) -> Result<(), ServerError> {
    let sql = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'pgops' \
               AND usename = current_user AND datname = current_database() AND pid <> pg_backend_pid() \
               AND query LIKE 'REINDEX INDEX %'";
    while !strings(client, "rebuilds of an earlier runner", sql).await?.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Longest name of anything in a database, in bytes.
const LONGEST_NAME: usize = 63;

/// Whether an invalid index of the same table is one that a rebuild of the index `of` makes: its name with
/// `_ccnew` (not ready) or `_ccold` (replaced) and a number if need be, cut to fit.
fn is_leftover(of: &str, name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let Some(stem) = stem.strip_suffix("_ccnew").or_else(|| stem.strip_suffix("_ccold")) else {
        return false;
    };
    // A character of four bytes may have been cut off as a whole.
    stem == of || (name.len() + 3 >= LONGEST_NAME && of.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn index() -> Index {
        Index {
            schema: "public".into(),
            name: "words w".into(),
            table: "public.words".into(),
            table_oid: 16400,
            method: "btree".into(),
            bytes: 0,
            excludes: false,
            is_system: false,
        }
    }

    fn statement(index: &Index, version: &str) -> String {
        index.statement(version.parse().unwrap())
    }

    #[test]
    fn an_index_is_rebuilt_beside_its_users_where_that_can_be_trusted() {
        let plain = index();
        assert_eq!(statement(&plain, "17.11"), "REINDEX INDEX CONCURRENTLY \"public\".\"words w\"");
        assert_eq!(statement(&plain, "14.4"), "REINDEX INDEX CONCURRENTLY \"public\".\"words w\"");
        for (index, version) in [
            (index(), "14.3"),
            (index(), "11.22"),
            (Index { excludes: true, ..index() }, "17.11"),
            (Index { is_system: true, ..index() }, "17.11"),
        ] {
            assert_eq!(
                statement(&index, version),
                "REINDEX INDEX \"public\".\"words w\"",
                "{index:?} {version}"
            );
        }
    }

    #[rstest]
    #[case::not_ready("words", "words_ccnew", true)]
    #[case::replaced("words", "words_ccold", true)]
    #[case::numbered("words", "words_ccnew12", true)]
    #[case::of_another("words_w", "words_ccnew", false)]
    #[case::of_another_with_a_longer_name("words", "words_w_ccnew", false)]
    #[case::a_users_own("words", "words_new", false)]
    fn only_what_a_rebuild_of_this_index_left_is_a_leftover(
        #[case] of: &str,
        #[case] name: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(is_leftover(of, name), expected);
    }

    #[test]
    fn a_leftover_of_a_long_name_is_cut_to_fit() {
        let (long, stem) = ("w".repeat(63), "w".repeat(57));
        assert!(is_leftover(&long, &format!("{stem}_ccnew")));
        assert!(is_leftover(&long, &format!("{}_ccnew1", "w".repeat(56))));
        assert!(!is_leftover(&"v".repeat(63), &format!("{stem}_ccnew")));
    }

    #[test]
    fn a_rebuild_never_fills_the_volume() {
        const GIB: u64 = 1024 * 1024 * 1024;
        assert!(has_room(4 * GIB, GIB));
        assert!(!has_room(3 * GIB, GIB));
        assert!(!has_room(GIB, u64::MAX));
    }
}
