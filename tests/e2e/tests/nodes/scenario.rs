//! Databases on the second node, with volumes that can move.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use pgops_api::opsrequest::CONDITION_WAITING;
use pgops_api::{PostgresOpsRequest, condition, names};
use pgops_e2e::second_node::{ATTACHED, FIRST_NODE, SECOND_NODE, SecondNode};
use pgops_e2e::{DataSet, Database, Fingerprint, Namespace, UpgradeRequest, wait_for};
use serde_json::json;

/// Kubernetes takes a node for lost after two minutes.
pub const TIMEOUT: Duration = Duration::from_mins(5);

/// A filled database whose pod runs on the second node.
pub async fn database_on_second_node(
    ns: &Namespace,
    node: &SecondNode,
    name: &str,
) -> anyhow::Result<Database> {
    node.set_unschedulable(FIRST_NODE, true).await?;
    // Instead of after five minutes, its pods are deleted soon after the loss of their node.
    let soon = |key: &str| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10 });
    let tolerations = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"].map(soon);
    let created = ns
        .postgres(name)
        .version("13.16")
        .field(
            "storage",
            json!({
                "storageClassName": ATTACHED,
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1Gi" } },
            }),
        )
        .field("podTemplate", json!({ "spec": { "tolerations": tolerations } }))
        .filled_with(&[DataSet::Kept])
        .await;
    node.set_unschedulable(FIRST_NODE, false).await?;
    let database = created?;
    ensure_on(&database, SECOND_NODE).await?;
    Ok(database)
}

/// Starts the upgrade of `orders` to 17, which can be rolled back until the new server has answered.
pub async fn start_upgrade(
    ns: &Namespace,
    orders: &Database,
) -> anyhow::Result<(Fingerprint, UpgradeRequest)> {
    let before = orders.fingerprint().await?;
    let upgrade = ns.upgrade("up").database("orders").to("17.11");
    let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, "copy").create().await?;
    Ok((before, upgrade))
}

/// The pod of the database runs on that node.
pub async fn ensure_on(database: &Database, node: &str) -> anyhow::Result<()> {
    let name = names::pod(database.name(), 0);
    let pod = database.namespace().api::<Pod>().get(&name).await?;
    let found = pod.spec.and_then(|spec| spec.node_name);
    ensure!(found.as_deref() == Some(node), "{name} is on node {found:?}, not on {node}");
    Ok(())
}

/// Waits until the upgrade waits for this reason; returns the message.
pub async fn wait_reason(ns: &Namespace, reason: &str) -> anyhow::Result<String> {
    let waiting = |found: Option<&PostgresOpsRequest>| {
        let conditions = &found?.status.as_ref()?.conditions;
        let waiting = condition::find(conditions, CONDITION_WAITING)?;
        (waiting.reason.as_deref() == Some(reason)).then(|| waiting.message.clone().unwrap_or_default())
    };
    let api: Api<PostgresOpsRequest> = ns.api();
    let what = format!("the reason {reason}");
    let found = wait_for(&api, "up", &what, TIMEOUT, |found| waiting(found).is_some()).await?;
    waiting(found.as_ref()).context("the request was deleted")
}
