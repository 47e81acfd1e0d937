//! Indexes that depend on what an upgrade changes about text.

use pgops_api::PgVersion;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::dependents::Dependents;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, was_utf8};
use crate::postgres::client::quote::identifier;

/// An index whose order may be wrong.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Index {
    pub schema: String,
    pub name: String,
    /// The table's quoted and qualified name.
    pub table: String,
    pub table_oid: u32,
    /// The access method, such as `btree`.
    pub method: String,
    pub bytes: u64,
    /// Whether it backs an exclusion constraint.
    pub excludes: bool,
    /// Whether it belongs to the system catalog.
    pub is_system: bool,
    pub oid: u32,
}

impl Index {
    /// Its quoted and qualified name.
    #[must_use]
    pub fn qualified(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// Whether `REINDEX CONCURRENTLY` is safe for it.
    #[must_use]
    pub fn can_rebuild_concurrently(&self, server: PgVersion) -> bool {
        // Before 12 the option does not exist, and 14.0 to 14.3 may leave rows out.
        let trusted = server.major >= 12 && !(server.major == 14 && server.minor < 4);
        trusted && !self.excludes && !self.is_system && self.is_utf8()
    }

    /// Whether a statement can name it.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        was_utf8(&self.schema) && was_utf8(&self.name)
    }

    /// The statement that rebuilds it: concurrently if that is safe, else with a lock on its table. If it has no name that a
    /// statement can have, the server itself writes the statement, which is not possible concurrently.
    #[must_use]
    pub fn statement(&self, server: PgVersion) -> String {
        if !self.is_utf8() {
            return format!(
                "DO $pgops$ BEGIN EXECUTE pg_catalog.format('REINDEX INDEX %s', '{}'::pg_catalog.regclass); END $pgops$",
                self.oid
            );
        }
        let concurrently = if self.can_rebuild_concurrently(server) { "CONCURRENTLY " } else { "" };
        format!("REINDEX INDEX {concurrently}{}", self.qualified())
    }

    /// Reads the columns of `affected_indexes.sql` and of `duty_indexes.sql`.
    pub(in crate::postgres) fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let (Lossy(schema), Lossy(name), oid) = (row.try_get(0)?, row.try_get(1)?, row.try_get(8)?);
        Ok(Self {
            name: unique(&schema, name, oid),
            schema,
            table: row.try_get::<_, Lossy>(2)?.0,
            table_oid: row.try_get(3)?,
            method: row.try_get(4)?,
            bytes: u64::try_from(row.try_get::<_, i64>(5)?).unwrap_or(0),
            excludes: row.try_get(6)?,
            is_system: row.try_get(7)?,
            oid,
        })
    }
}

/// Another index may have a name that reads the same, if one of the names was not valid UTF-8: it would be taken for this one.
fn unique(schema: &str, name: String, oid: u32) -> String {
    if was_utf8(schema) && was_utf8(&name) { name } else { format!("{name} (OID {oid})") }
}

/// Whether `REINDEX` and `amcheck` run the functions of an index only with the rights of the table's owner: before these
/// releases some of them run with the caller's, which are the superuser's (CVE-2022-1552).
#[must_use]
pub fn confines_functions(server: PgVersion) -> bool {
    let fixed = match server.major {
        ..10 => return false,
        10 => 21,
        11 => 16,
        12 => 11,
        13 => 7,
        14 => 3,
        _ => 0,
    };
    server.minor >= fixed
}

/// The indexes of the database that `client` is connected to which depend on a change.
pub async fn affected(client: &Client, dependents: &Dependents) -> Result<Vec<Index>, ServerError> {
    let failed = ServerError::query("indexes that depend on text rules");
    let parameters: [&(dyn ToSql + Sync); 3] =
        [&dependents.reordered, &dependents.pattern, &dependents.extensions];
    let sql = include_str!("../sql/affected_indexes.sql");
    let rows = client.query(sql, &parameters).await.map_err(failed)?;
    let mut indexes =
        rows.iter().map(|row| Index::read(row).map_err(failed)).collect::<Result<Vec<_>, _>>()?;
    indexes.sort();
    Ok(indexes)
}

/// The total size of indexes in bytes, in the database that `client` is connected to.
pub async fn bytes(client: &Client, indexes: &[Index]) -> Result<u64, ServerError> {
    let sql =
        "SELECT COALESCE(sum(pg_relation_size(to_regclass(name))), 0)::int8 FROM unnest($1::text[]) AS name";
    let names: Vec<String> = indexes.iter().map(Index::qualified).collect();
    let answer = client.query_one(sql, &[&names]).await.and_then(|row| row.try_get::<_, i64>(0));
    let bytes = answer.map_err(ServerError::query("the size of indexes"))?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            oid: 16401,
        }
    }

    fn statement(index: &Index, version: &str) -> String {
        index.statement(version.parse().unwrap())
    }

    #[test]
    fn index_is_rebuilt_concurrently_only_if_that_is_safe() {
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

    /// One such name would otherwise be a failure, and another one that reads the same would be skipped.
    #[test]
    fn index_whose_name_is_not_utf8_is_rebuilt_by_its_oid() {
        let odd = Index { name: unique("public", "zo\u{fffd}".into(), 16401), ..index() };
        assert_eq!(odd.name, "zo\u{fffd} (OID 16401)");
        assert_eq!(unique("public", "words".into(), 16401), "words");
        assert_ne!(unique("zo\u{fffd}", "words".into(), 1), unique("zo\u{fffd}", "words".into(), 2));
        let expected = "DO $pgops$ BEGIN EXECUTE pg_catalog.format('REINDEX INDEX %s', '16401'::pg_catalog.regclass); END $pgops$";
        assert_eq!(statement(&odd, "17.11"), expected);
        assert!(!odd.can_rebuild_concurrently("17.11".parse().unwrap()));
    }

    #[test]
    fn functions_of_indexes_are_confined_since_the_fix() {
        for (version, expected) in
            [("9.6", false), ("13.6", false), ("13.7", true), ("14.2", false), ("14.3", true), ("15.0", true)]
        {
            assert_eq!(confines_functions(version.parse().unwrap()), expected, "{version}");
        }
    }
}
