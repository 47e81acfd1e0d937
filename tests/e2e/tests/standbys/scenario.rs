//! A database of three servers.

use std::time::Duration;

use anyhow::ensure;
use pgops_e2e::{Database, DatabaseBuilder, Namespace, eventually};
use serde_json::json;

/// More than a failover takes on a busy machine.
pub const SOON: Duration = Duration::from_mins(1);

/// A database of three servers, of which each acknowledged row is on two.
pub async fn three_servers(ns: &Namespace) -> anyhow::Result<Database> {
    streaming(definition(ns)).await
}

/// The definition of such a database.
pub fn definition(ns: &Namespace) -> DatabaseBuilder {
    ns.postgres("orders")
        .version("17.11")
        .field("replicas", json!(3))
        .field("streamingMode", json!("Synchronous"))
}

/// Creates a database, and waits until its standbys stream.
pub async fn streaming(orders: DatabaseBuilder) -> anyhow::Result<Database> {
    let orders = orders.ready().await?;
    orders.wait_streaming().await?;
    Ok(orders)
}

/// Waits until each commit waits for one of the two standbys.
pub async fn wait_quorum(orders: &Database) -> anyhow::Result<()> {
    eventually("a quorum of standbys", SOON, async || {
        let query = "SELECT string_agg(sync_state, ',') FROM pg_stat_replication";
        let states = orders.value(query).await?;
        ensure!(states == "quorum,quorum", "standbys are {states}");
        Ok(())
    })
    .await
}
