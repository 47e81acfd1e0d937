//! How long the preflight of a large server takes: a dry run, from its creation to its end.

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, ensure};
use pgops_api::names;
use pgops_api::opsrequest::{CONDITION_SUCCESSFUL, Phase};
use pgops_e2e::{Cluster, Database, Namespace, volume_pool};
use serde_json::json;

use crate::benchmark::DIRECTORY;
use crate::metric::Metric;
use crate::report::Report;

/// The cases that are measured by default.
pub const DEFAULT_CASES: &str = "500x10 1x50000";
const FROM: &str = "13.16";
const TO: &str = "17.11";

/// A server with a number of databases, each with a number of tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Case {
    databases: NonZeroU32,
    tables: NonZeroU32,
}

impl Case {
    /// Parses a list of cases, separated by blanks.
    pub fn parse_list(text: &str) -> anyhow::Result<Vec<Self>> {
        text.split_whitespace().map(str::parse).collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.databases, self.tables)
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let numbers = text.split_once('x').and_then(|(databases, tables)| {
            Some(Self { databases: databases.parse().ok()?, tables: tables.parse().ok()? })
        });
        numbers.with_context(|| format!("\"{text}\" is not DATABASESxTABLES such as 500x10"))
    }
}

/// Measures every case.
pub async fn run(cases: Vec<Case>) -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let mut report = Report::create(Path::new(DIRECTORY), "preflight")?;
    for case in cases {
        volume_pool::recycle_volumes().await?;
        let mut metrics = Vec::new();
        let measured = cluster.with_namespace(async |ns| {
            metrics = measure(ns, case).await?;
            Ok(())
        });
        measured.await.with_context(|| format!("case {case}"))?;
        report.add(&case.to_string(), &metrics)?;
    }
    volume_pool::recycle_volumes().await
}

async fn measure(ns: &Namespace, case: Case) -> anyhow::Result<Vec<Metric>> {
    // So that every table of a database can be locked, or it would not be rehearsed.
    ns.secret("conf", "user.conf", "max_locks_per_transaction = 4096\nautovacuum = off\n").await?;
    let storage = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Gi"}}});
    let orders = ns.postgres("orders").version(FROM).field("configSecret", json!({"name": "conf"}));
    let orders = orders.field("storage", storage).ready().await?;
    fill(&orders, case).await?;
    let began = Instant::now();
    let dry = ns.upgrade("dry").database("orders").to(TO).annotation(names::ANNOTATION_DRY_RUN, "true");
    let request = dry.create().await?.wait_terminal().await?;
    let took = began.elapsed().as_secs_f64();
    let conditions = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    ensure!(request.phase() == Phase::Successful, "the dry run failed: {conditions:?}");
    let end =
        pgops_api::condition::find(conditions, CONDITION_SUCCESSFUL).context("no condition Successful")?;
    let message = end.message.as_deref().unwrap_or_default();
    let rehearsal = message.lines().find(|line| line.contains("into a scratch")).context("not rehearsed")?;
    eprintln!("{rehearsal}");
    Ok(vec![Metric::new("preflight", took, "s")])
}

/// Databases with equal tables. One transaction per 100 tables, since more locks would not fit into the server's memory.
async fn fill(orders: &Database, case: Case) -> anyhow::Result<()> {
    let postgres = async |sql: &str| orders.sql("postgres", sql).await.map(drop);
    postgres("ALTER SYSTEM SET fsync = off").await?;
    postgres("SELECT pg_reload_conf()").await?;
    postgres("CREATE DATABASE bench_1").await?;
    let tables = format!(
        "DO $$ BEGIN
           FOR number IN 1..{} LOOP
             EXECUTE format('CREATE TABLE t%s (id serial PRIMARY KEY, name text NOT NULL, at date DEFAULT now())', number);
             IF number % 100 = 0 THEN COMMIT; END IF;
           END LOOP;
         END $$",
        case.tables
    );
    orders.sql("bench_1", &tables).await?;
    for number in 2..=case.databases.get() {
        postgres(&format!("CREATE DATABASE bench_{number} TEMPLATE bench_1")).await?;
    }
    postgres("CHECKPOINT").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_parsed_and_shown() {
        let cases = Case::parse_list(DEFAULT_CASES).unwrap();
        assert_eq!(cases.iter().map(ToString::to_string).collect::<Vec<_>>(), ["500x10", "1x50000"]);
        for wrong in ["500", "0x10", "x10", "500x", "axb"] {
            assert!(wrong.parse::<Case>().is_err(), "{wrong}");
        }
    }
}
