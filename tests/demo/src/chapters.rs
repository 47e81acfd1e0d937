//! A narrated upgrade of `PostgreSQL` 13 to 17, for someone who sees pgops for the first time.
//!
//! It can be run again: what an earlier run left is removed first.

mod report;
mod terminal;

use std::time::Instant;

use anyhow::{Context, ensure};
use pgops_api::names;
use pgops_api::opsrequest::{Phase, PostgresOpsRequest};

use clap::Parser;
use pgops_e2e::probe::Probe;
use pgops_e2e::{Cluster, DataSet, Database, Fingerprint, Namespace};
use terminal::{Terminal, say};

const NAMESPACE: &str = "demo";
const DATABASE: &str = "orders";
const REQUEST: &str = "orders-17";
const OLD: &str = "13.16";
const NEW: &str = "17.11";

/// How the demonstration is called.
#[derive(Clone, Debug, Parser)]
#[command(about = "Upgrades PostgreSQL 13 to 17 on a cluster, and explains what happens")]
struct Options {
    /// Command that runs others against the cluster, shown before the commands at the end
    #[arg(long)]
    through: Option<String>,
    /// Directory with the demonstration's manifests
    #[arg(long, default_value = "tests/manifests")]
    manifests: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(Options::parse()).await
}

/// Runs it; fails if anything is not as it was.
async fn run(options: Options) -> anyhow::Result<()> {
    let show = Terminal::new(options.manifests);
    let cluster = Cluster::connect().await?;
    let ns = Namespace::new(cluster, NAMESPACE.to_owned());
    let begin = Instant::now();

    let orders = create_database(&show, &ns).await?;
    fill(&show, &orders).await?;
    refuse(&show).await?;
    let probe = start_probe(&show, &orders).await?;
    let before = fingerprint(&show, &orders, "before").await?;
    let request = upgrade(&show, &ns).await?;
    compare(&show, &orders, &before).await?;
    measure(&show, &orders, probe, &request).await?;
    look_around(&show, options.through.as_deref());
    show.done(&format!("PostgreSQL {OLD} is {NEW}, with the same data. This took {:.0?}.", begin.elapsed()));
    Ok(())
}

async fn create_database(show: &Terminal, ns: &Namespace) -> anyhow::Result<Database> {
    show.chapter("A database");
    if ns.kubectl(&["get", "namespace", NAMESPACE], None).await?.success {
        say("An earlier run left its namespace; it goes first.");
        show.kubectl(&["delete", "namespace", NAMESPACE]).await?.succeeded()?;
    }
    say("The versions that the catalog knows, and the images behind them:");
    show.kubectl(&["get", "postgresversions"]).await?.succeeded()?;
    say(&format!("A Postgres object is all that a database needs. This one wants PostgreSQL {OLD}:"));
    show.file("demo-orders.yaml")?;
    show.apply("demo-namespace.yaml").await?.succeeded()?;
    show.apply("demo-orders.yaml").await?.succeeded()?;
    let orders = Database::new(ns.clone(), DATABASE);
    show.wait("it is initialised and answers", orders.wait_ready()).await?;
    show.kubectl(&["-n", NAMESPACE, "get", "postgres,statefulset,pod,service,pvc"]).await?.succeeded()?;
    Ok(orders)
}

async fn fill(show: &Terminal, orders: &Database) -> anyhow::Result<()> {
    show.chapter("Data of many kinds");
    say(
        "Partitions, large objects, enums, ranges, triggers, rules, roles with grants, row security, a dozen kinds of\n\
         index, databases with odd names … (tests/sql/everything.sql), and 320 000 rows of customers and orders.",
    );
    show.wait("tests/sql/everything.sql", orders.load(DataSet::Everything)).await?;
    show.wait("tests/sql/bulk.sql", orders.load(DataSet::Bulk)).await
}

async fn refuse(show: &Terminal) -> anyhow::Result<()> {
    show.chapter("A request that is refused");
    say(
        "Someone asks for 18.6 at once. The catalog's constraints for 13.16 do not allow it, and kubectl says so:",
    );
    let output = show.apply("demo-orders-18.yaml").await?;
    ensure!(!output.success, "a request that the constraints forbid was accepted");
    say("Nothing was stored, nothing was touched.");
    Ok(())
}

async fn start_probe(show: &Terminal, orders: &Database) -> anyhow::Result<Probe> {
    show.chapter("A client that keeps writing");
    say("From here on a pod inserts a row every 50 ms through the Service, to see how long writes stop.");
    show.wait("the first write is acknowledged", Probe::start(orders)).await
}

async fn fingerprint(show: &Terminal, orders: &Database, when: &str) -> anyhow::Result<Fingerprint> {
    let found = show.wait(&format!("all data is read, {when} the upgrade"), orders.fingerprint()).await?;
    let total = found.total();
    say(&format!(
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
    say("It is accepted. What to know beforehand is in the warnings. From now on it runs by itself:");
    let api = ns.api::<PostgresOpsRequest>();
    let ended =
        pgops_e2e::wait_for(&api, REQUEST, "its end", std::time::Duration::from_mins(15), |request| {
            request.is_some_and(|request| request.phase().is_terminal())
        });
    let request = show.watch(&["-n", NAMESPACE, "get", "pgops", REQUEST, "--watch"], ended).await?;
    let request = request.context("the request is gone")?;
    say("\nWhat the runner did, in its own words:");
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
    say(
        "  Nothing differs: rows, sequences, large objects, roles, passwords, grants, comments, settings, definitions.",
    );
    let found = show.wait(
        "every index is checked against its table (amcheck)",
        pgops_e2e::integrity_problems(orders, true),
    );
    let found = found.await?;
    ensure!(found.is_empty(), "complaints: {}", found.join("\n"));
    Ok(())
}

async fn measure(
    show: &Terminal,
    orders: &Database,
    probe: Probe,
    request: &PostgresOpsRequest,
) -> anyhow::Result<()> {
    show.chapter("The outage");
    let summary = show.wait("the client stops, and its rows are counted", probe.stop()).await?;
    let outage = request.status.as_ref().and_then(|status| status.outage.as_deref()).unwrap_or("not told");
    let milliseconds = summary.longest_gap_milliseconds;
    say(&format!(
        "  seen by the client, between two commits:  {}.{:03} s",
        milliseconds / 1000,
        milliseconds % 1000
    ));
    say(&format!("  told by the request, status.outage:       {outage}"));
    say(&format!(
        "  writes that were acknowledged:            {}, all of them are there",
        summary.acknowledged
    ));
    say("\nSteps, and how long each took (the API's times are whole seconds):");
    for line in report::durations(request) {
        say(&line);
    }
    let version = orders.value("SELECT version()").await?;
    say(&format!("\n  {version}"));
    Ok(())
}

fn look_around(show: &Terminal, through: Option<&str>) {
    show.chapter("Look around");
    let kubectl = through.map_or_else(|| "kubectl".to_owned(), |through| format!("{through} kubectl"));
    let commands = [
        ("all requests, in every namespace", "get pgops -A".to_owned()),
        ("the request's story", format!("-n {NAMESPACE} describe pgops {REQUEST}")),
        ("the database", format!("-n {NAMESPACE} describe postgres {DATABASE}")),
        (
            "a SQL prompt",
            format!("-n {NAMESPACE} exec -it {DATABASE}-0 -c postgres -- psql -U postgres sales"),
        ),
        ("which versions may follow which", "get postgresversions -o yaml".to_owned()),
        ("clean up", format!("delete namespace {NAMESPACE}")),
    ];
    for (what, command) in commands {
        say(&format!("  # {what}\n  {kubectl} {command}"));
    }
    if through.is_some() {
        say("  # stop the test cluster\n  make cluster-down");
    }
}
