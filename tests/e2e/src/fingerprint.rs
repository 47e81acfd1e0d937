//! The logical content of a server, to compare it before and after an upgrade.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use tokio_postgres::Client;

use crate::connection::rows;
use crate::database::Database;
use pgops_probe::PROBE_DATABASE;

const CLUSTER: &str = include_str!("../../sql/fingerprint/cluster.sql");
const DATABASE: &str = include_str!("../../sql/fingerprint/database.sql");
const CHECK: &str = include_str!("../../sql/fingerprint/check.sql");
const STATISTICS: &str = include_str!("../../sql/fingerprint/statistics.sql");
const DATABASES: &str =
    "SELECT datname FROM pg_database WHERE datallowconn AND datname NOT IN ('template0', 'template1')";
/// Number of statements in one message.
const BATCH: usize = 50;

/// Facts of all databases of a server: rows, sequences, large objects, roles, grants, comments,
/// settings and definitions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fingerprint(BTreeMap<String, String>);

/// The rows of all tables together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Total {
    /// Number of tables and filled materialized views.
    pub tables: usize,
    /// Number of rows.
    pub rows: u64,
    /// Sum of the hashes of all rows.
    pub sum: i128,
}

impl Fingerprint {
    async fn take(database: &Database) -> anyhow::Result<Self> {
        let mut facts = Facts(BTreeMap::new());
        let main = database.connect("postgres").await?;
        facts.add("", rows(&main, CLUSTER).await?);
        for dbname in databases(&main).await? {
            let client = database.connect(&dbname).await?;
            facts
                .add_database(&client, &dbname)
                .await
                .with_context(|| format!("failed to read database {dbname}"))?;
        }
        Ok(Self(facts.0))
    }

    /// The differences, one per line: `-` only in self, `+` only in other. Empty if both are equal.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Vec<String> {
        let removed = self.0.iter().filter(|(what, value)| other.0.get(*what) != Some(value));
        let added = other.0.iter().filter(|(what, value)| self.0.get(*what) != Some(value));
        let removed = removed.map(|(what, value)| (what, '-', value));
        let added = added.map(|(what, value)| (what, '+', value));
        let mut lines: Vec<_> = removed.chain(added).collect();
        lines.sort_by_key(|(what, sign, _)| (*what, *sign == '+'));
        lines.into_iter().map(|(what, sign, value)| format!("{sign} {what}: {value}")).collect()
    }

    /// Fails with the differences, if there are any.
    pub fn ensure_same(&self, after: &Self) -> anyhow::Result<()> {
        let lines = self.difference(after);
        let shown = lines[..lines.len().min(60)].join("\n");
        ensure!(
            lines.is_empty(),
            "the database differs in {} lines (- before, + after):\n{shown}",
            lines.len()
        );
        Ok(())
    }

    /// The rows of all tables together.
    #[must_use]
    pub fn total(&self) -> Total {
        let tables = self.0.iter().filter(|(what, _)| what.contains("rows of ")).filter_map(|(_, value)| {
            let (rows, sum) = value.split_once(" rows, sum ")?;
            // An empty table has no sum.
            Some((rows.parse::<u64>().ok()?, sum.parse::<i128>().unwrap_or(0)))
        });
        tables.fold(Total::default(), |total, (rows, sum)| Total {
            tables: total.tables + 1,
            rows: total.rows + rows,
            sum: total.sum + sum,
        })
    }

    /// Number of facts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no facts, which is never true of a server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Database {
    /// The logical content of all databases of the server.
    pub async fn fingerprint(&self) -> anyhow::Result<Fingerprint> {
        Fingerprint::take(self).await
    }
}

struct Facts(BTreeMap<String, String>);

impl Facts {
    fn add(&mut self, prefix: &str, facts: Vec<Vec<String>>) {
        for fact in facts {
            if let [what, value] = fact.as_slice() {
                // Two facts with the same name are both kept, in either order.
                let slot = self.0.entry(format!("{prefix}{what}")).or_default();
                let mut values: Vec<&str> = slot.split(" | ").filter(|known| !known.is_empty()).collect();
                values.push(value);
                values.sort_unstable();
                *slot = values.join(" | ");
            }
        }
    }

    async fn add_database(&mut self, client: &Client, dbname: &str) -> anyhow::Result<()> {
        let prefix = format!("{dbname}: ");
        // Names are schema-qualified, whatever the search path of the database is.
        client.batch_execute("SET search_path = pg_catalog").await?;
        self.add(&prefix, rows(client, DATABASE).await?);
        let queries = rows(client, "SELECT query FROM pg_temp.pgops_contents").await?;
        for batch in queries.concat().chunks(BATCH) {
            self.add(&prefix, rows(client, &batch.join(";\n")).await?);
        }
        Ok(())
    }
}

/// All databases except the probe's, which changes during the upgrade.
async fn databases(main: &Client) -> anyhow::Result<Vec<String>> {
    let names = rows(main, DATABASES).await?.concat();
    Ok(names.into_iter().filter(|name| name != PROBE_DATABASE).collect())
}

/// Problems in any database: invalid or corrupt indexes and, if `statistics` is set, missing statistics.
pub async fn integrity_problems(database: &Database, statistics: bool) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let main = database.connect("postgres").await?;
    for dbname in databases(&main).await? {
        let client = database.connect(&dbname).await?;
        // Before the check, which creates an extension.
        let mut lines = if statistics { rows(&client, STATISTICS).await? } else { Vec::new() };
        lines.extend(rows(&client, CHECK).await?);
        found.extend(lines.concat().into_iter().map(|line| format!("{dbname}: {line}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(facts: &[(&str, &str)]) -> Fingerprint {
        let mut all = Facts(BTreeMap::new());
        all.add(
            "shop: ",
            facts.iter().map(|(what, value)| vec![(*what).to_owned(), (*value).to_owned()]).collect(),
        );
        Fingerprint(all.0)
    }

    #[test]
    fn fingerprints_of_equal_servers_do_not_differ() {
        let one = fingerprint(&[("a", "1"), ("twice", "x"), ("twice", "y")]);
        let other = fingerprint(&[("twice", "y"), ("twice", "x"), ("a", "1")]);
        assert!(one.ensure_same(&other).is_ok());
    }

    #[test]
    fn difference_shows_both_sides_together() {
        let before = fingerprint(&[("rows of t", "3 rows, sum 5"), ("view v", "exists")]);
        let after = fingerprint(&[("rows of t", "2 rows, sum 4"), ("view w", "exists")]);
        let lines = before.difference(&after);
        assert_eq!(lines[0], "- shop: rows of t: 3 rows, sum 5");
        assert_eq!(lines[1], "+ shop: rows of t: 2 rows, sum 4");
        assert_eq!(lines[2], "- shop: view v: exists");
        assert_eq!(lines[3], "+ shop: view w: exists");
    }

    #[test]
    fn total_adds_up_tables() {
        let total = fingerprint(&[
            ("rows of t", "3 rows, sum -5"),
            ("rows of u", "0 rows, sum "),
            ("view v", "9 rows"),
        ]);
        assert_eq!(total.total(), Total { tables: 2, rows: 3, sum: -5 });
    }
}
