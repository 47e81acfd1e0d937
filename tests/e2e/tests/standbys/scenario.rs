//! A database of three servers.

use std::time::Duration;

use pgops_e2e::{Database, Namespace};
use serde_json::json;

/// More than a failover takes on a busy machine.
pub const SOON: Duration = Duration::from_mins(1);

/// A database of three servers, of which each acknowledged row is on two.
pub async fn three_servers(ns: &Namespace) -> anyhow::Result<Database> {
    let orders = ns
        .postgres("orders")
        .version("17.11")
        .field("replicas", json!(3))
        .field("streamingMode", json!("Synchronous"));
    let orders = orders.ready().await?;
    orders.wait_streaming().await?;
    Ok(orders)
}
