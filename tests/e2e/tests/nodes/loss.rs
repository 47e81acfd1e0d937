//! The node of a database and of the worker is lost during an upgrade: nothing takes the place of what may still run there,
//! until the node returns or is declared out of service.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_api::postgres::CONDITION_READY;
use pgops_api::{Postgres, condition, names};
use pgops_e2e::fault_injection::{KillPoint, UpgradeObserver};
use pgops_e2e::second_node::{FIRST_NODE, SecondNode};
use pgops_e2e::{Database, Namespace, UpgradeRequest, assert_upgraded, counts, wait_for, with_namespace};

use crate::scenario::{TIMEOUT, database_on_second_node, ensure_on, start_upgrade, wait_reason};

/// The uids of the pods that may use the volume: the database's and the workers'.
async fn pods(ns: &Namespace, upgrade: &UpgradeRequest) -> anyhow::Result<Vec<String>> {
    let mut pods = upgrade.runner_pods().await?;
    pods.extend(ns.api::<Pod>().get_opt(&names::pod("orders", 0)).await?);
    Ok(pods.iter().filter_map(ResourceExt::uid).collect())
}

/// Waits until the condition `Ready` of a database says that its node is lost, and what to do.
async fn wait_told(database: &Database) -> anyhow::Result<()> {
    let ready = |found: Option<&Postgres>| {
        let ready = condition::find(&found?.status.as_ref()?.conditions, CONDITION_READY)?;
        let is_told = matches!(ready.reason.as_deref(), Some("NodeNotReady" | "PodNotEnding"));
        is_told.then(|| ready.message.clone().unwrap_or_default())
    };
    let api = database.namespace().api::<Postgres>();
    let what = "a condition that tells the loss";
    let found = wait_for(&api, database.name(), what, TIMEOUT, |found| ready(found).is_some()).await?;
    let message = ready(found.as_ref()).context("the database was deleted")?;
    ensure!(message.contains("node.kubernetes.io/out-of-service"), "the remedy is missing: {message}");
    Ok(())
}

#[tokio::test]
async fn lost_node_is_told_and_the_upgrade_resumes_once_it_is_out_of_service() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let node = SecondNode::add(ns.cluster()).await?;
        let orders = database_on_second_node(ns, &node, "orders").await?;
        let serving = database_on_second_node(ns, &node, "serving").await?;
        let content = serving.fingerprint().await?;
        let (before, upgrade) = start_upgrade(ns, &orders).await?;
        UpgradeObserver::start(&orders, &upgrade).await?.reach(KillPoint::Stage(10)).await?;
        let running = pods(ns, &upgrade).await?;
        node.run("power-off").await?;
        node.wait_not_ready().await?;
        let message = wait_reason(ns, "WorkerLost").await?;
        ensure!(message.contains("node.kubernetes.io/out-of-service"), "the remedy is missing: {message}");
        wait_told(&serving).await?;
        ensure!(pods(ns, &upgrade).await? == running, "another pod may use the volume");
        node.declare_out_of_service().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure_on(&orders, FIRST_NODE).await?;
        serving.wait_ready().await?;
        ensure_on(&serving, FIRST_NODE).await?;
        content.ensure_same(&serving.fingerprint().await?)?;
        counts::add("faults", 1)
    })
    .await
}

/// Only its kubelet has stopped: worker and server run on meanwhile, and no other one is started.
#[tokio::test]
async fn upgrade_survives_a_node_that_does_not_report_for_a_while() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let node = SecondNode::add(ns.cluster()).await?;
        let orders = database_on_second_node(ns, &node, "orders").await?;
        let (before, upgrade) = start_upgrade(ns, &orders).await?;
        UpgradeObserver::start(&orders, &upgrade).await?.reach(KillPoint::Stage(10)).await?;
        let workers = upgrade.runner_pods().await?;
        node.run("stop-kubelet").await?;
        wait_reason(ns, "WorkerLost").await?;
        // The worker continues, and may have asked for the pod of the new version.
        let uids = |pods: &[Pod]| pods.iter().filter_map(ResourceExt::uid).collect::<Vec<_>>();
        ensure!(uids(&upgrade.runner_pods().await?) == uids(&workers), "another worker may use the volume");
        node.run("start-kubelet").await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        counts::add("faults", 1)
    })
    .await
}
