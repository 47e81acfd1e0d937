//! The second node of the test cluster, and volumes that can move to it: `tests/cluster/node`.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::cluster::Cluster;
use crate::kubectl::kubectl;
use crate::wait::wait_for;

/// The node that also runs the control plane.
pub const FIRST_NODE: &str = "pgops-node";
/// The node that can be drained and lost.
pub const SECOND_NODE: &str = "pgops-node-2";
/// The class of the volumes that are attached to one node at a time.
pub const ATTACHED: &str = "attached";

/// The time after which Kubernetes takes a node that does not report for lost is two minutes.
const TIMEOUT: Duration = Duration::from_mins(4);

/// The second node, ready to run pods.
pub struct SecondNode {
    nodes: Api<core::Node>,
}

impl SecondNode {
    /// Starts it if necessary, as every test finds it: both nodes take pods.
    pub async fn add(cluster: &Cluster) -> anyhow::Result<Self> {
        let node = Self { nodes: Api::all(cluster.client.clone()) };
        node.run("add").await?;
        // A test that failed may have left them.
        node.set_unschedulable(FIRST_NODE, false).await?;
        node.patch(SECOND_NODE, &json!({ "spec": { "unschedulable": null, "taints": null } })).await?;
        Ok(node)
    }

    /// Runs a command of `tests/cluster/node`.
    pub async fn run(&self, command: &str) -> anyhow::Result<()> {
        const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/node");
        let output = Command::new(SCRIPT).arg(command).output().await;
        let output = output.with_context(|| format!("failed to run {SCRIPT}"))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{SCRIPT} {command} failed: {stderr}");
        Ok(())
    }

    /// Cordons or uncordons a node.
    pub async fn set_unschedulable(&self, name: &str, unschedulable: bool) -> anyhow::Result<()> {
        self.patch(name, &json!({ "spec": { "unschedulable": unschedulable } })).await
    }

    /// Drains it as an administrator does; fails if that does not end.
    pub async fn drain(&self) -> anyhow::Result<()> {
        let arguments =
            ["drain", SECOND_NODE, "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=6m"];
        kubectl(&arguments, None).await?.succeeded().map(drop).context("the drain did not end")
    }

    /// Waits until Kubernetes takes it for lost.
    pub async fn wait_not_ready(&self) -> anyhow::Result<()> {
        let is_lost = |node: Option<&core::Node>| {
            let mut conditions =
                node.iter().flat_map(|node| node.status.iter()).flat_map(|it| &it.conditions);
            conditions.any(|it| it.iter().any(|it| it.type_ == "Ready" && it.status != "True"))
        };
        wait_for(&self.nodes, SECOND_NODE, "the loss of the node", TIMEOUT, is_lost).await.map(drop)
    }

    /// Declares it out of service: its pods are removed, and their volumes are detached.
    pub async fn declare_out_of_service(&self) -> anyhow::Result<()> {
        let taint = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute";
        kubectl(&["taint", "node", SECOND_NODE, taint, "--overwrite"], None).await?.succeeded().map(drop)
    }

    async fn patch(&self, name: &str, change: &Value) -> anyhow::Result<()> {
        let patched = self.nodes.patch(name, &PatchParams::default(), &Patch::Merge(change)).await;
        patched.map(drop).with_context(|| format!("failed to change node {name}"))
    }
}
