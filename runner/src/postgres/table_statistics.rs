//! What the planner knows of the largest tables: its estimates and statistics, before and after an upgrade.

pub mod compare;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Row};

use super::client::error::ServerError;
use super::client::query::Lossy;
use super::client::quote::identifier;

/// How many tables are looked at, of a database and of a server; `largest_tables.sql` has the same number.
const MOST: usize = 10;
/// The column exists since this version.
const HAS_EXPRESSION_STATISTICS: u32 = 14;

/// What the planner knows of one table, or of a partitioned table with its partitions.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TableStatistics {
    /// `pg_upgrade` keeps it.
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// By the last `VACUUM` or `ANALYZE`.
    pub pages: i64,
    /// The estimate; `None` if no `VACUUM` or `ANALYZE` has counted them.
    pub rows: Option<f64>,
    /// Columns that `ANALYZE` looks at.
    pub columns: i64,
    /// Columns with statistics; of a partitioned table, of all partitions together.
    pub columns_with_statistics: i64,
    /// Extended statistics objects with data.
    pub extended: i64,
}

/// The tables of one database.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct DatabaseStatistics {
    pub database: String,
    pub tables: Vec<TableStatistics>,
}

impl TableStatistics {
    /// Whether it was found to have no rows.
    fn is_without_rows(&self) -> bool {
        self.rows.is_some_and(|rows| rows < 1.0)
    }

    fn qualified(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            oid: row.try_get(0)?,
            schema: row.try_get::<_, Lossy>(1)?.0,
            name: row.try_get::<_, Lossy>(2)?.0,
            pages: row.try_get(3)?,
            rows: row.try_get(4)?,
            columns: row.try_get(5)?,
            columns_with_statistics: row.try_get(6)?,
            extended: row.try_get(7)?,
        })
    }
}

/// The largest tables of the database that `client` is connected to, largest first.
pub async fn largest_tables(client: &Client, major: u32) -> Result<Vec<TableStatistics>, ServerError> {
    read(client, major, &[]).await
}

/// The same tables in the database that `client` is connected to, as far as they still exist.
pub async fn same_tables(
    client: &Client,
    major: u32,
    tables: &[TableStatistics],
) -> Result<Vec<TableStatistics>, ServerError> {
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    if oids.is_empty() { Ok(Vec::new()) } else { read(client, major, &oids).await }
}

async fn read(client: &Client, major: u32, only: &[u32]) -> Result<Vec<TableStatistics>, ServerError> {
    let failed = ServerError::query("what the planner knows of the largest tables");
    let rows = client.query(&query(major), &[&only]).await.map_err(failed)?;
    rows.iter().map(|row| TableStatistics::read(row).map_err(failed)).collect()
}

fn query(major: u32) -> String {
    let expressions = match major {
        ..HAS_EXPRESSION_STATISTICS => "false",
        _ => "d.stxdexpr IS NOT NULL",
    };
    format!(include_str!("sql/largest_tables.sql"), expressions = expressions)
}

/// The largest tables of the whole server.
#[must_use]
pub fn largest_of_all(databases: Vec<DatabaseStatistics>) -> Vec<DatabaseStatistics> {
    let in_database = |it: DatabaseStatistics| {
        let database = it.database;
        it.tables.into_iter().map(move |table| (database.clone(), table))
    };
    let mut tables: Vec<_> = databases.into_iter().flat_map(in_database).collect();
    // An empty table has no statistics to compare.
    tables.retain(|(_, table)| table.pages > 0);
    tables.sort_by_key(|(_, table)| Reverse(table.pages));
    tables.truncate(MOST);
    let mut largest = BTreeMap::<_, Vec<_>>::new();
    for (database, table) in tables {
        largest.entry(database).or_default().push(table);
    }
    largest.into_iter().map(|(database, tables)| DatabaseStatistics { database, tables }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(name: &str, pages: &[i64]) -> DatabaseStatistics {
        let table = |(oid, pages): (u32, &i64)| TableStatistics {
            oid,
            schema: "s".into(),
            name: format!("t{oid}"),
            pages: *pages,
            rows: None,
            columns: 1,
            columns_with_statistics: 0,
            extended: 0,
        };
        DatabaseStatistics { database: name.into(), tables: (1..).zip(pages).map(table).collect() }
    }

    #[test]
    fn largest_tables_of_a_server_may_be_in_any_database() {
        let databases = vec![
            database("a", &[100, 90, 8, 7, 6, 5, 4, 3]),
            database("empty", &[0]),
            database("b", &[50, 8, 7, 6, 1]),
        ];
        let largest = largest_of_all(databases);
        let pages: Vec<(&str, Vec<i64>)> = largest
            .iter()
            .map(|it| (it.database.as_str(), it.tables.iter().map(|table| table.pages).collect()))
            .collect();
        assert_eq!(pages, [("a", vec![100, 90, 8, 7, 6, 5]), ("b", vec![50, 8, 7, 6])]);
    }

    #[test]
    fn server_never_has_more_than_the_limit_even_if_sizes_are_equal() {
        let count = |databases: Vec<DatabaseStatistics>| -> usize {
            largest_of_all(databases).iter().map(|it| it.tables.len()).sum()
        };
        assert_eq!(count(vec![database("a", &[7; 10]), database("b", &[9, 7])]), MOST);
        let largest = largest_of_all(vec![database("a", &[7; 10]), database("b", &[9, 7])]);
        assert_eq!(largest.last().map(|it| it.tables.len()), Some(1), "the largest one is left out");
        assert_eq!(count(vec![database("a", &[7; 3])]), 3);
        assert!(query(13).ends_with(&format!("LIMIT {MOST}\n")));
    }

    #[test]
    fn statistics_of_expressions_are_only_asked_for_where_they_exist() {
        assert!(!query(13).contains("stxdexpr") && query(14).contains("stxdexpr"));
    }
}
