//! One commit with a new version and the request for it, as GitOps tools apply it: all or nothing, again and again.

use std::time::Duration;

use anyhow::{Context, ensure};
use kube::api::{Patch, PatchParams};
use pgops_api::opsrequest::Phase;
use pgops_api::spec_check::requested_storage;
use pgops_api::{Postgres, PostgresOpsRequest, names};
use pgops_e2e::{Namespace, Output, assert_upgraded, wait_for, with_namespace};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(10);

/// A tool and the options with which it calls the API server.
const FLUX: [&str; 4] =
    ["apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller"];
const ARGO_CD: [&str; 2] = ["apply", "--field-manager=argocd-controller"];
const HELM: [&str; 2] = ["apply", "--field-manager=helm"];
const KUBECTL: [&str; 1] = ["apply"];

async fn apply(ns: &Namespace, tool: &[&str], dry_run: bool, commit: &Value) -> anyhow::Result<Output> {
    let mut args = tool.to_vec();
    args.extend(dry_run.then_some("--dry-run=server"));
    args.extend(["-f", "-"]);
    ns.kubectl(&args, Some(&commit.to_string())).await
}

fn commit(objects: [&Value; 2]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": objects})
}

/// Applies the commit as the tool does until the request has ended, several times while it runs.
async fn converges(tool: &[&str], annotated: bool) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let mut database = ns.postgres("orders").version("13.23").manifest().clone();
        if annotated {
            database["metadata"]["annotations"] =
                json!({names::ANNOTATION_VERSION_CHANGE: names::BY_REQUEST});
        }
        let request = ns.upgrade("orders-13.23").database("orders").to("13.23");
        let commit = commit([&database, request.manifest()]);
        let dry_run = apply(ns, tool, true, &commit).await?.succeeded().context("the dry run")?;
        ensure!(dry_run.stderr.contains("spec.version of"), "no warning: {}", dry_run.stderr);
        ensure!(orders.object().await?.spec.version == "13.16", "a dry run changed the version");

        apply(ns, tool, false, &commit).await?.succeeded().context("the first apply")?;
        let ended = async {
            let is_terminal = |found: Option<&PostgresOpsRequest>| {
                found.is_some_and(|request| request.phase().is_terminal())
            };
            wait_for(&ns.api(), "orders-13.23", "its end", TIMEOUT, is_terminal).await
        };
        let applied_again = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if let Err(error) = apply(ns, tool, false, &commit).await.and_then(Output::succeeded) {
                    return error;
                }
            }
        };
        let ended = tokio::select! {
            ended = ended => ended?.context("the request was deleted")?,
            error = applied_again => return Err(error.context("a later apply of the same commit")),
        };
        ensure!(ended.phase() == Phase::Successful, "the request ended {:?}", ended.phase());
        let stored: Postgres = orders.object().await?;
        ensure!(stored.spec.version == "13.23", "the version is {}", stored.spec.version);
        let again = apply(ns, tool, false, &commit).await?.succeeded()?;
        ensure!(!again.stderr.contains("spec.version of"), "a warning remains: {}", again.stderr);
        ensure!(orders.server_version().await? == "13.23", "the server was not upgraded");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn commit_with_version_and_request_converges_with_flux() -> anyhow::Result<()> {
    converges(&FLUX, false).await
}

#[tokio::test]
async fn commit_with_version_and_request_converges_with_argo_cd() -> anyhow::Result<()> {
    converges(&ARGO_CD, false).await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn commit_with_version_and_request_converges_with_another_tool_by_annotation() -> anyhow::Result<()> {
    converges(&KUBECTL, true).await
}

#[tokio::test]
async fn outdated_manifest_is_applied_without_its_version() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-13.23").database("orders").to("13.23").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        for tool in [&FLUX[..], &ARGO_CD, &HELM, &KUBECTL] {
            let mut old = ns.postgres("orders").version("13.16").manifest().clone();
            old["metadata"]["labels"] = json!({"team": "billing"});
            let output = apply(ns, tool, false, &old).await?.succeeded().context("an outdated manifest")?;
            ensure!(output.stderr.contains("13.16 is outdated"), "{tool:?}: no warning: {}", output.stderr);
            let stored = orders.object().await?;
            ensure!(stored.spec.version == "13.23", "{tool:?} set the version back");
            ensure!(
                stored.metadata.labels.is_some_and(|labels| labels["team"] == "billing"),
                "{tool:?}: the label"
            );
        }
        Ok(())
    })
    .await
}

/// The test cluster has no driver that expands volumes: the size is set as the provisioner sets it for a request.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn outdated_manifest_is_applied_without_its_size() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        let expanded = json!({
            "metadata": {"annotations": {names::ANNOTATION_EXPANDED_TO: "2Gi"}},
            "spec": {"storage": {"resources": {"requests": {"storage": "2Gi"}}}},
        });
        let databases = ns.api::<Postgres>();
        databases.patch("orders", &PatchParams::default(), &Patch::Merge(expanded)).await?;
        for (number, tool) in [&FLUX[..], &ARGO_CD, &HELM, &KUBECTL].into_iter().enumerate() {
            let team = format!("team-{number}");
            let mut old = ns.postgres("orders").version("17.11").manifest().clone();
            old["metadata"]["labels"] = json!({"team": team});
            let output = apply(ns, tool, false, &old).await?.succeeded().context("an outdated manifest")?;
            ensure!(output.stderr.contains("1Gi is outdated"), "{tool:?}: no warning: {}", output.stderr);
            let stored = orders.object().await?;
            ensure!(requested_storage(&stored) == Some("2Gi"), "{tool:?} set the size back");
            ensure!(
                stored.metadata.labels.is_some_and(|labels| labels["team"] == team),
                "{tool:?}: the label"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn version_that_the_matrix_refuses_is_denied_to_tools_too() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.postgres("orders").version("13.16").ready().await?;
        let commit = ns.postgres("orders").version("18.6").manifest().clone();
        let output = apply(ns, &FLUX, false, &commit).await?;
        ensure!(!output.success && output.stderr.contains("Allowed targets"), "{output:?}");
        // A user of kubectl is told at once what to do.
        let message = ns.rejects(ns.postgres("orders").version("17.11").manifest()).await?;
        ensure!(message.contains(names::ANNOTATION_VERSION_CHANGE), "the remedy is missing: {message}");
        Ok(())
    })
    .await
}
