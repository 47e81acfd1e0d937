//! The chapters of the demo.
//!
//! The demo can be repeated: it first deletes the namespace of an earlier run.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgops_api::names;
use pgops_api::opsrequest::{Phase, PostgresOpsRequest};
use pgops_e2e::probe::Probe;
use pgops_e2e::{Cluster, DataSet, Database, Fingerprint, Namespace};

use crate::step_times::step_times;
use crate::terminal::{Terminal, print_text};

const NAMESPACE: &str = "demo";
const DATABASE: &str = "orders";
const REQUEST: &str = "orders-17";
const OLD: &str = "13.16";
const NEW: &str = "17.11";

/// Runs all chapters; fails if the upgrade or one of the comparisons fails.
pub(crate) async fn run(manifests: String, through: Option<&str>) -> anyhow::Result<()> {
    let show = Terminal::new(manifests);
    let cluster = Cluster::connect().await?;
    let ns = Namespace::new(cluster, NAMESPACE.to_owned());
    let start = Instant::now();

    let orders = create_database(&show, &ns).await?;
    fill(&show, &orders).await?;
    show_denial(&show).await?;
    let probe = start_probe(&show, &orders).await?;
    let before = fingerprint(&show, &orders, "before").await?;
    let request = upgrade(&show, &ns).await?;
    compare(&show, &orders, &before).await?;
    measure(&show, &orders, probe, &request).await?;
    suggest_commands(&show, through);
    show.done(&format!(
        "PostgreSQL {OLD} was upgraded to {NEW} without any change to the data, in {:.0?}.",
        start.elapsed()
    ));
    Ok(())
}

async fn create_database(show: &Terminal, ns: &Namespace) -> anyhow::Result<Database> {
    show.chapter("A database");
    if ns.kubectl(&["get", "namespace", NAMESPACE], None).await?.success {
        print_text("An earlier run left its namespace, which is deleted first.");
        show.kubectl(&["delete", "namespace", NAMESPACE]).await?.succeeded()?;
    }
    print_text("The catalog lists the available versions and their images:");
    show.kubectl(&["get", "postgresversions"]).await?.succeeded()?;
    print_text(&format!(
        "A Postgres object is all you need for a database. This one requests PostgreSQL {OLD}:"
    ));
    show.file("demo-orders.yaml")?;
    show.apply("demo-namespace.yaml").await?.succeeded()?;
    show.apply("demo-orders.yaml").await?.succeeded()?;
    let orders = Database::new(ns.clone(), DATABASE);
    show.wait("waiting until it is initialised and ready", orders.wait_ready()).await?;
    show.kubectl(&["-n", NAMESPACE, "get", "postgres,statefulset,pod,service,pvc"]).await?.succeeded()?;
    Ok(orders)
}

async fn fill(show: &Terminal, orders: &Database) -> anyhow::Result<()> {
    show.chapter("Data of many kinds");
    print_text(
        "Partitions, large objects, enums, ranges, triggers, rules, roles with grants, row security, a dozen kinds of\n\
         index, databases with odd names … (tests/sql/everything.sql), and 320 000 rows of customers and orders.",
    );
    show.wait("loading tests/sql/everything.sql", orders.load(DataSet::Everything)).await?;
    show.wait("loading tests/sql/bulk.sql", orders.load(DataSet::Bulk)).await
}

async fn show_denial(show: &Terminal) -> anyhow::Result<()> {
    show.chapter("A denied request");
    print_text(
        "A request for 18.6 is denied, because the catalog's constraints for 13.16 do not allow it. kubectl shows why:",
    );
    let output = show.apply("demo-orders-18.yaml").await?;
    ensure!(!output.success, "a request that violates the constraints was admitted");
    print_text("Nothing was stored, nothing was changed.");
    Ok(())
}

async fn start_probe(show: &Terminal, orders: &Database) -> anyhow::Result<Probe> {
    show.chapter("A client that keeps writing");
    print_text(
        "From now on a pod inserts a row every 50 ms through the Service, to measure how long writes are interrupted.",
    );
    show.wait("waiting for the first acknowledged write", Probe::start(orders)).await
}

async fn fingerprint(show: &Terminal, orders: &Database, when: &str) -> anyhow::Result<Fingerprint> {
    let found = show.wait(&format!("reading all data {when} the upgrade"), orders.fingerprint()).await?;
    let total = found.total();
    print_text(&format!(
        "  PostgreSQL {}: {} tables, {} rows, sum of the hashes of all rows {}; {} facts in all",
        orders.server_version().await?,
        total.tables,
        total.rows,
        total.sum,
        found.len(),
    ));
    Ok(found)
}

async fn upgrade(show: &Terminal, ns: &Namespace) -> anyhow::Result<PostgresOpsRequest> {
    show.chapter("The upgrade");
    show.file("demo-orders-17.yaml")?;
    show.apply("demo-orders-17.yaml").await?.succeeded()?;
    print_text(
        "It is admitted, with warnings about what to know beforehand. The upgrade now runs by itself:",
    );
    let api = ns.api::<PostgresOpsRequest>();
    let ended = pgops_e2e::wait_for(&api, REQUEST, "its end", Duration::from_mins(15), |request| {
        request.is_some_and(|request| request.phase().is_terminal())
    });
    let request = show.watch(&["-n", NAMESPACE, "get", "pgops", REQUEST, "--watch"], ended).await?;
    let request = request.context("the request was deleted")?;
    print_text("\nThe log of the runner:");
    let job = names::job(REQUEST, request.metadata.uid.as_deref().unwrap_or_default());
    show.kubectl(&["-n", NAMESPACE, "logs", &format!("job/{job}"), "--container=runner"]).await?;
    ensure!(
        request.phase() == Phase::Successful,
        "the request ended {:?}: {}",
        request.phase(),
        pgops_e2e::format_conditions(&request)
    );
    show.kubectl(&["-n", NAMESPACE, "get", "postgres", DATABASE]).await?.succeeded()?;
    Ok(request)
}

async fn compare(show: &Terminal, orders: &Database, before: &Fingerprint) -> anyhow::Result<()> {
    show.chapter("The same data");
    let after = fingerprint(show, orders, "after").await?;
    before.ensure_same(&after)?;
    print_text(
        "  No differences: rows, sequences, large objects, roles, passwords, grants, comments, settings, definitions.",
    );
    let problems = show.wait(
        "checking every index against its table (amcheck)",
        pgops_e2e::integrity_problems(orders, true),
    );
    let problems = problems.await?;
    ensure!(problems.is_empty(), "problems: {}", problems.join("\n"));
    Ok(())
}

async fn measure(
    show: &Terminal,
    orders: &Database,
    probe: Probe,
    request: &PostgresOpsRequest,
) -> anyhow::Result<()> {
    show.chapter("The outage");
    let summary = show.wait("stopping the client and counting its rows", probe.stop()).await?;
    let outage =
        request.status.as_ref().and_then(|status| status.outage.as_deref()).unwrap_or("not reported");
    let milliseconds = summary.longest_gap_milliseconds;
    print_text(&format!(
        "  measured by the client, between two commits:  {}.{:03} s",
        milliseconds / 1000,
        milliseconds % 1000
    ));
    print_text(&format!("  reported by the request, status.outage:       {outage}"));
    print_text(&format!("  acknowledged writes, all of them present:     {}", summary.acknowledged));
    print_text("\nDuration of each step (the API's times are whole seconds):");
    for line in step_times(request) {
        print_text(&line);
    }
    let version = orders.value("SELECT version()").await?;
    print_text(&format!("\n  {version}"));
    Ok(())
}

fn suggest_commands(show: &Terminal, through: Option<&str>) {
    show.chapter("What to try next");
    let kubectl = through.map_or_else(|| "kubectl".to_owned(), |through| format!("{through} kubectl"));
    let commands = [
        ("all requests, in every namespace", "get pgops -A".to_owned()),
        ("the request with its conditions and events", format!("-n {NAMESPACE} describe pgops {REQUEST}")),
        ("the database", format!("-n {NAMESPACE} describe postgres {DATABASE}")),
        (
            "a SQL prompt",
            format!("-n {NAMESPACE} exec -it {DATABASE}-0 -c postgres -- psql -U postgres sales"),
        ),
        ("the catalog and its upgrade constraints", "get postgresversions -o yaml".to_owned()),
        ("clean up", format!("delete namespace {NAMESPACE}")),
    ];
    for (what, command) in commands {
        print_text(&format!("  # {what}\n  {kubectl} {command}"));
    }
    if through.is_some() {
        print_text("  # stop the test cluster\n  make cluster-down");
    }
}
