//! A server whose clients use all of its connections: an upgrade is refused before anything is paused, and says why.

use std::time::Duration;

use anyhow::{Context, ensure};
use pgops_api::condition;
use pgops_api::postgres::{CONDITION_READY, PostgresPhase};
use pgops_e2e::{Database, assert_untouched, eventually, with_namespace};
use serde_json::json;
use tokio::task::JoinHandle;

const TIMEOUT: Duration = Duration::from_mins(2);
/// Those of `max_connections` that are left to clients by the three for superusers and by the session that opens them.
const CLIENTS: &str = "16";

/// Opens connections of a role to the server, from within it, whenever there is room for one, until its session is ended.
fn fill(orders: &Database, role: &str) -> JoinHandle<anyhow::Result<()>> {
    let orders = orders.clone();
    let statement = format!(
        "DO $$ DECLARE n int := 0; BEGIN LOOP
            BEGIN
                PERFORM dblink_connect('c' || n, 'host=/var/run/postgresql dbname=postgres user={role}');
                n := n + 1;
            EXCEPTION WHEN OTHERS THEN PERFORM pg_sleep(0.1);
            END;
        END LOOP; END $$"
    );
    tokio::spawn(async move { orders.sql("postgres", &statement).await.map(drop) })
}

async fn ensure_not_paused(orders: &Database) -> anyhow::Result<()> {
    let object = orders.object().await?;
    ensure!(object.paused().is_none(), "the database is paused: {:?}", object.paused());
    Ok(())
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn full_server_is_reported_with_a_remedy_and_not_paused() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("conf", "user.conf", "max_connections = 20\n").await?;
        let orders = ns.postgres("orders").version("13.16").field("configSecret", json!({"name": "conf"}));
        let orders = orders.ready().await?;
        orders.sql("postgres", "CREATE ROLE client LOGIN; CREATE EXTENSION dblink").await?;
        let before = orders.fingerprint().await?;
        let clients = fill(&orders, "client");
        eventually("a full server", TIMEOUT, async || {
            let count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'client'";
            let count = orders.value(count).await?;
            ensure!(count == CLIENTS, "{count} clients are connected");
            Ok(())
        })
        .await?;

        // Any session of the preflight may meet a probe of the kubelet that has taken the last connection.
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").field("maxRetries", json!(10));
        let (reason, message) = upgrade.create().await?.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        for part in [
            "was not touched and serves 13.16",
            "[server-full] database \"",
            "too many clients already",
            "raise superuser_reserved_connections or max_connections",
        ] {
            ensure!(message.contains(part), "the message should contain {part:?}: {message}");
        }
        ensure!(!message.contains("[schema-dump]"), "a definition is blamed: {message}");
        ensure_not_paused(&orders).await?;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %'";
        orders.sql("postgres", end).await?;
        ensure!(clients.await?.is_err(), "the clients have ended before");
        assert_untouched(&orders, "13.16", &before).await?;

        // Not even a superuser can connect then.
        let superusers = fill(&orders, "postgres");
        let object = orders.wait_phase(PostgresPhase::NotReady).await?;
        let ready = condition::find(object.conditions(), CONDITION_READY).context("no condition Ready")?;
        let why = ready.message.as_deref().unwrap_or_default();
        ensure!(why.contains("too many clients already"), "the condition does not say why: {ready:?}");
        ns.upgrade("again").database("orders").to("17.11").rejected_with(&["is NotReady"]).await?;
        ensure_not_paused(&orders).await?;
        orders.replace_pod().await?;
        ensure!(superusers.await?.is_err(), "the superusers have ended before");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}
