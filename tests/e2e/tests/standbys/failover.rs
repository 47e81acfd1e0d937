//! What becomes of a database when one of its servers is lost.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use pgops_e2e::probe::Probe;
use pgops_e2e::{Database, eventually, with_namespace};

use crate::scenario::{SOON, three_servers};

/// Waits until another server than `old` is the primary.
async fn wait_successor(orders: &Database, old: &str) -> anyhow::Result<String> {
    eventually("another primary", SOON, async || {
        let primary = orders.primary().await?;
        ensure!(primary != old, "{old} is the primary");
        Ok(primary)
    })
    .await
}

#[tokio::test]
async fn deleted_primary_hands_over_and_returns_as_a_standby() -> anyhow::Result<()> {
    lost_primary(&DeleteParams::default()).await
}

#[tokio::test]
async fn killed_primary_loses_no_acknowledged_row() -> anyhow::Result<()> {
    lost_primary(&DeleteParams::default().grace_period(0)).await
}

async fn lost_primary(how: &DeleteParams) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = three_servers(ns).await?;
        let probe = Probe::start_every(&orders, Duration::from_millis(10)).await?;
        let old = orders.primary().await?;
        ns.api::<Pod>().delete(&old, how).await?;
        let new = wait_successor(&orders, &old).await?;
        orders.wait_streaming().await?;
        ensure!(orders.primary().await? == new, "the role has moved again");
        let summary = probe.stop().await?;
        println!("{} ms without a write, {} writes", summary.longest_gap_milliseconds, summary.acknowledged);
        Ok(())
    })
    .await
}
