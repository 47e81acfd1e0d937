//! How long the preflight of a large server takes: a dry run, from its creation to its end; and how well it estimates the outage.

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
use crate::estimate;
use crate::metric::Metric;
use crate::report::Report;
use crate::subject::seconds;

/// The cases that are measured by default.
pub const DEFAULT_CASES: &str = "500x10 1x10000/upgrade 1x0+100000lo/upgrade";
const FROM: &str = "13.16";
const TO: &str = "17.11";

/// A server with a number of databases, each with a number of tables and of large objects. Its name, such as
/// `1x1000+50000lo/upgrade`, contains everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Case {
    databases: NonZeroU32,
    tables: u32,
    large_objects: u32,
    end: End,
}

/// What a case ends with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    DryRun,
    /// After the dry run, whose estimate is compared with the outage.
    Upgrade,
}

impl Case {
    /// Parses a list of cases, separated by blanks.
    pub fn parse_list(text: &str) -> anyhow::Result<Vec<Self>> {
        text.split_whitespace().map(str::parse).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let (sizes, end) = match text.split_once('/') {
            None => (text, End::DryRun),
            Some((sizes, "upgrade")) => (sizes, End::Upgrade),
            Some(_) => return None,
        };
        let (databases, contents) = sizes.split_once('x')?;
        let (tables, large_objects) = match contents.split_once('+') {
            None => (contents, "0"),
            Some((tables, objects)) => (tables, objects.strip_suffix("lo")?),
        };
        Some(Self {
            databases: databases.parse().ok()?,
            tables: tables.parse().ok()?,
            large_objects: large_objects.parse().ok()?,
            end,
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { databases, tables, large_objects, end } = self;
        write!(f, "{databases}x{tables}")?;
        if *large_objects > 0 {
            write!(f, "+{large_objects}lo")?;
        }
        match end {
            End::DryRun => Ok(()),
            End::Upgrade => write!(f, "/upgrade"),
        }
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        Self::parse(text).with_context(|| {
            format!(
                "\"{text}\" is not DATABASESxTABLES, such as 500x10, with +OBJECTSlo for large objects and /upgrade for an upgrade: \
                 1x1000+50000lo/upgrade"
            )
        })
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
    for line in message.lines().filter(|line| line.starts_with("estimated outage")) {
        eprintln!("{line}");
    }
    let estimated = estimate::in_text(message).context("no estimate")?;
    let mut metrics =
        vec![Metric::new("preflight", took, "s"), Metric::new("estimated outage", estimated, "s")];
    if case.end == End::Upgrade {
        let upgrade = ns.upgrade("upgrade").database("orders").to(TO).create().await?;
        let outage = upgrade.wait_successful().await?.status.and_then(|status| status.outage);
        let outage = outage.as_deref().and_then(seconds).context("the upgrade has no outage")?;
        metrics.extend([Metric::new("outage", outage, "s"), estimate::error(estimated, outage)]);
    }
    Ok(metrics)
}

/// Databases with equal tables and large objects. One transaction per 100 tables, since more locks would not fit into the server's memory.
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
    let large_objects = format!("SELECT count(lo_create(0)) FROM generate_series(1, {})", case.large_objects);
    orders.sql("bench_1", &large_objects).await?;
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
        let names = cases.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names.join(" "), DEFAULT_CASES);
        let case = "2x300+4000lo/upgrade".parse::<Case>().unwrap();
        assert_eq!((case.databases.get(), case.tables, case.large_objects), (2, 300, 4000));
        assert_eq!(case.to_string(), "2x300+4000lo/upgrade");
        for wrong in
            ["500", "0x10", "x10", "500x", "axb", "1x+5lo", "1x0+5", "1x0+lo", "1x0/copy", "1x0/upgrade/"]
        {
            assert!(wrong.parse::<Case>().is_err(), "{wrong}");
        }
    }
}
