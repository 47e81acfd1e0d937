//! A minor upgrade of a database with three servers, while clients write and read.

mod reader;

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use pgops_api::plan::Step;
use pgops_api::{PostgresOpsRequest, names};
use pgops_e2e::probe::Probe;
use pgops_e2e::{Database, wait_for, with_namespace};
use reader::Reader;
use serde_json::json;

use crate::scenario::three_servers;

const SERVERS: u32 = 3;
const TIMEOUT: Duration = Duration::from_mins(5);
const WRITE_INTERVAL: Duration = Duration::from_millis(10);

async fn primary_pod(orders: &Database) -> anyhow::Result<Pod> {
    Ok(orders.namespace().api::<Pod>().get(&orders.primary().await?).await?)
}

/// Every server has the image of this version, one is the primary, and the others are standbys.
async fn ensure_version(orders: &Database, version: &str) -> anyhow::Result<()> {
    let ns = orders.namespace();
    let image = ns.cluster().catalog_entry(version).await?.spec.db.image;
    let mut members = orders.standbys().await?;
    members.push(orders.primary().await?);
    members.sort();
    ensure!(members == (0..SERVERS).map(|it| names::pod("orders", it)).collect::<Vec<_>>(), "{members:?}");
    for name in members {
        let pod = ns.api::<Pod>().get(&name).await?;
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let mut servers = containers.filter(|container| container.name == names::CONTAINER_POSTGRES);
        let found = servers.next().and_then(|server| server.image.as_deref());
        ensure!(found == Some(image.as_str()), "{name} has {found:?}, not {image}");
    }
    Ok(())
}

#[tokio::test]
async fn minor_upgrade_of_standbys_loses_no_row_and_fails_no_read() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = three_servers(ns).await?;
        let before = orders.primary().await?;
        let reader = Reader::start(ns, "17.11").await?;
        let probe = Probe::start_every(&orders, WRITE_INTERVAL).await?;
        let upgrade = ns.upgrade("up").database("orders").to("17.12").create().await?;
        let request = upgrade.wait_successful().await?;
        orders.wait_ready().await?;
        // Fails if an acknowledged row is missing.
        let writes = probe.stop().await?;
        let reads = reader.stop().await?;
        let outage = request.status.and_then(|status| status.outage).unwrap_or_default();
        println!(
            "{} rows acknowledged, longest gap {} ms, reported outage {outage}; {} reads",
            writes.acknowledged, writes.longest_gap_milliseconds, reads.succeeded
        );
        ensure!(reads.failed.is_empty(), "{} reads failed: {:?}", reads.failed.len(), reads.failed);
        ensure!(reads.succeeded > 0, "nothing was read");
        ensure_version(&orders, "17.12").await?;
        ensure!(orders.primary().await? != before, "the same pod is the primary");
        Ok(())
    })
    .await
}

/// A quota keeps the pod of the first standby from being created again.
#[tokio::test]
async fn standby_that_does_not_come_up_ends_the_upgrade_with_the_primary_untouched() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = three_servers(ns).await?;
        let before = primary_pod(&orders).await?;
        // Otherwise the upgrade would not begin.
        ns.override_guards("orders").await?;
        let upgrade = ns.upgrade("up").database("orders").to("17.12");
        let upgrade = upgrade.field("timeout", json!("120s")).field("maxRetries", json!(0)).create().await?;
        upgrade.wait_runner_pods().await?;
        let all = ns.api::<Pod>().list(&ListParams::default()).await?.items.len();
        ns.quota("full", json!({ "pods": (all - 1).to_string() })).await?;
        let undone = format!("{} (undo)", Step::UpdateStatefulSetImage);
        let is_undone = |found: Option<&PostgresOpsRequest>| {
            let step = found.and_then(|request| request.status.as_ref()?.step.as_deref());
            step.is_some_and(|step| step.ends_with(&undone))
        };
        wait_for(&ns.api(), "up", "the undo", TIMEOUT, is_undone).await?;
        ns.api::<ResourceQuota>().delete("full", &DeleteParams::default()).await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "UpdateStatefulSetImageFailed", "{reason}: {message}");
        orders.wait_ready().await?;
        ensure_version(&orders, "17.11").await?;
        ensure!(primary_pod(&orders).await?.uid() == before.uid(), "the pod of the primary was replaced");
        Ok(())
    })
    .await
}
