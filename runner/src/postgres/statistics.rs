//! Statistics for the planner, which `pg_upgrade` does not carry before 18: which tables are analyzed, in which order.
//!
//! `vacuumdb` ends at the first table that fails, before 18 passes over partitioned tables, and reduces statistics that
//! exist to its first, minimal stage.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use super::client::error::ServerError;
use super::client::query::Lossy;
use super::client::quote::identifier;

/// From this version on `pg_upgrade` carries statistics, and `ANALYZE ONLY` exists.
pub const CARRIES_STATISTICS: u32 = 18;

/// A table without all of its statistics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub is_partitioned: bool,
    pub is_partition: bool,
    /// Of its partitions; itself if it is not a partition.
    pub root: u32,
    /// Whether it has some statistics: a coarse stage would replace them.
    pub has_statistics: bool,
}

/// A pass over all tables. The first ones are fast, so that no table is without any statistics for long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// With this value of `default_statistics_target`, for tables without any.
    Coarse(u32),
    /// With the settings of the server, the database and each column.
    Full,
}

/// Something to analyze.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// The quoted and qualified name.
    pub table: String,
    pub statement: String,
    /// What is analyzed one by one if that fails, leaves first: it includes all partitions, and ends at the first error.
    pub parts: Vec<Part>,
}

/// A part of a partitioned table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    pub table: String,
    pub statement: String,
    /// Whether it has partitions itself, and fails if one of them does.
    pub is_partitioned: bool,
}

/// The passes after an upgrade to this major version. From 18 on only a few tables lack something.
#[must_use]
pub fn stages(major: u32) -> &'static [Stage] {
    if major >= CARRIES_STATISTICS {
        &[Stage::Full]
    } else {
        &[Stage::Coarse(1), Stage::Coarse(10), Stage::Full]
    }
}

/// What is analyzed in a pass.
#[must_use]
pub fn items(tables: &[Table], stage: Stage, major: u32) -> Vec<Item> {
    match stage {
        Stage::Coarse(_) => tables
            .iter()
            .filter(|table| !table.is_partitioned && !table.has_statistics)
            .map(Table::item)
            .collect(),
        Stage::Full if major >= CARRIES_STATISTICS => tables.iter().map(Table::only).collect(),
        Stage::Full => {
            let mut parts: BTreeMap<u32, Vec<Part>> = BTreeMap::new();
            for is_partitioned in [false, true] {
                for table in tables.iter().filter(|it| it.is_partition && it.is_partitioned == is_partitioned)
                {
                    parts.entry(table.root).or_default().push(table.part());
                }
            }
            let roots = tables.iter().filter(|table| !table.is_partition);
            roots
                .map(|table| Item { parts: parts.remove(&table.oid).unwrap_or_default(), ..table.item() })
                .collect()
        }
    }
}

impl Table {
    fn qualified(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    fn statement(&self) -> String {
        self.analyze("ANALYZE")
    }

    /// The statement, which names the table by its OID if the name has bytes that are not UTF-8, as in databases with `SQL_ASCII`.
    fn analyze(&self, command: &str) -> String {
        let name = self.qualified();
        if name.contains(char::REPLACEMENT_CHARACTER) {
            let oid = self.oid;
            return format!(
                "DO $pgops$ BEGIN EXECUTE '{command} ' || '{oid}'::pg_catalog.regclass; END $pgops$"
            );
        }
        format!("{command} {name}")
    }

    fn item(&self) -> Item {
        Item { table: self.qualified(), statement: self.statement(), parts: Vec::new() }
    }

    /// Without its partitions and children, which are analyzed by themselves if they lack something.
    fn only(&self) -> Item {
        Item { statement: self.analyze("ANALYZE ONLY"), table: self.qualified(), parts: Vec::new() }
    }

    fn part(&self) -> Part {
        Part { table: self.qualified(), statement: self.statement(), is_partitioned: self.is_partitioned }
    }

    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            oid: row.try_get(0)?,
            schema: row.try_get::<_, Lossy>(1)?.0,
            name: row.try_get::<_, Lossy>(2)?.0,
            is_partitioned: row.try_get(3)?,
            is_partition: row.try_get(4)?,
            root: row.try_get(5)?,
            has_statistics: row.try_get(6)?,
        })
    }
}

/// Whether the catalogs that all databases of a server share are included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SharedCatalogs {
    Included,
    Excluded,
}

/// The tables of the database that `client` is connected to which lack statistics, largest first.
pub async fn tables(client: &Client, major: u32, shared: SharedCatalogs) -> Result<Vec<Table>, ServerError> {
    let failed = ServerError::query("the tables without statistics");
    let shared = shared == SharedCatalogs::Included;
    let rows = client.query(&query(major), &[&shared]).await.map_err(failed)?;
    rows.iter().map(|row| Table::read(row).map_err(failed)).collect()
}

fn query(major: u32) -> String {
    let missing = match major {
        ..CARRIES_STATISTICS => "true",
        _ => include_str!("sql/missing_statistics.sql"),
    };
    format!(include_str!("sql/tables_for_statistics.sql"), missing = missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: u32, name: &str) -> Table {
        Table {
            oid,
            schema: "s".into(),
            name: name.into(),
            is_partitioned: false,
            is_partition: false,
            root: oid,
            has_statistics: false,
        }
    }

    fn partition(oid: u32, name: &str, root: u32) -> Table {
        Table { is_partition: true, root, ..table(oid, name) }
    }

    /// A table, and a partitioned one with a leaf and a partition that is partitioned itself.
    fn tables() -> Vec<Table> {
        vec![
            Table { is_partitioned: true, ..table(1, "root") },
            Table { is_partitioned: true, ..partition(2, "sub", 1) },
            partition(3, "leaf", 1),
            partition(4, "sub leaf", 1),
            Table { has_statistics: true, ..table(5, "plain") },
        ]
    }

    fn statements(items: &[Item]) -> Vec<&str> {
        items.iter().map(|item| item.statement.as_str()).collect()
    }

    /// One such name would otherwise end the analysis of all databases.
    #[test]
    fn table_whose_name_is_not_utf8_is_analyzed_by_its_oid() {
        let statement = table(16_400, "t\u{fffd}").statement();
        assert_eq!(
            statement,
            "DO $pgops$ BEGIN EXECUTE 'ANALYZE ' || '16400'::pg_catalog.regclass; END $pgops$"
        );
    }

    #[test]
    fn coarse_stage_replaces_no_statistics_and_takes_each_leaf_by_itself() {
        let items = items(&tables(), Stage::Coarse(1), 17);
        assert_eq!(statements(&items), ["ANALYZE \"s\".\"leaf\"", "ANALYZE \"s\".\"sub leaf\""]);
        assert!(items.iter().all(|item| item.parts.is_empty()));
    }

    #[test]
    fn partitions_are_analyzed_with_their_root_and_one_by_one_if_that_fails() {
        let items = items(&tables(), Stage::Full, 17);
        assert_eq!(statements(&items), ["ANALYZE \"s\".\"root\"", "ANALYZE \"s\".\"plain\""]);
        let parts: Vec<_> =
            items[0].parts.iter().map(|part| (part.table.as_str(), part.is_partitioned)).collect();
        assert_eq!(
            parts,
            [("\"s\".\"leaf\"", false), ("\"s\".\"sub leaf\"", false), ("\"s\".\"sub\"", true)]
        );
        assert!(items[1].parts.is_empty());
    }

    #[test]
    fn statistics_that_were_carried_are_not_replaced_by_coarse_ones() {
        assert_eq!(stages(18), [Stage::Full]);
        assert_eq!(stages(17), [Stage::Coarse(1), Stage::Coarse(10), Stage::Full]);
        let items = items(&tables()[..2], Stage::Full, 18);
        assert_eq!(statements(&items), ["ANALYZE ONLY \"s\".\"root\"", "ANALYZE ONLY \"s\".\"sub\""]);
    }

    #[test]
    fn only_missing_statistics_are_asked_for_where_they_are_carried() {
        assert!(query(18).contains("stxdinherit") && query(18).contains("$1"));
        // The column exists since 15.
        assert!(!query(17).contains("stxdinherit") && query(17).contains("AND true"));
    }
}
