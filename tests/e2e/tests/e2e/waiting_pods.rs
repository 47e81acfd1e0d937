//! The database's pod does not come up in the outage: the request says why in the words of who refuses, and the upgrade goes
//! on as soon as it can.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use pgops_api::opsrequest::CONDITION_WAITING;
use pgops_api::plan::Step;
use pgops_api::{Condition, PostgresOpsRequest, condition, names};
use pgops_e2e::{
    DataSet, Database, Fingerprint, Namespace, UpgradeRequest, assert_untouched, assert_upgraded, wait_for,
    with_namespace,
};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(3);
/// How soon the runner applies what it wants again.
const SOON: Duration = Duration::from_secs(30);

/// Changes the pod template of the database, as an operator does by hand.
async fn patch_workload(ns: &Namespace, spec: Value) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    ns.api::<StatefulSet>().patch("orders", &PatchParams::default(), &patch).await?;
    Ok(())
}

/// With a label that no node has, or without.
async fn require_label(ns: &Namespace, value: Option<&str>) -> anyhow::Result<()> {
    let selector = json!({ "e2e.pgops.dev/nowhere": value });
    patch_workload(ns, json!({ "template": { "spec": { "nodeSelector": selector } } })).await
}

/// A database, its content, and its upgrade to 17, whose new pod will find no node: its worker has found one already.
async fn start(
    ns: &Namespace,
    change: impl FnOnce(pgops_e2e::UpgradeRequestBuilder) -> pgops_e2e::UpgradeRequestBuilder,
) -> anyhow::Result<(Database, Fingerprint, UpgradeRequest)> {
    let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
    let before = orders.fingerprint().await?;
    let upgrade = ns.upgrade("orders-17").database("orders").to("17.11");
    // It can be rolled back until the new server has answered.
    let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, "copy");
    let upgrade = change(upgrade).create().await?;
    upgrade.wait_step(Step::Preflight).await?;
    require_label(ns, Some("true")).await?;
    Ok((orders, before, upgrade))
}

fn waiting(request: Option<&PostgresOpsRequest>) -> Option<&Condition> {
    condition::find(&request?.status.as_ref()?.conditions, CONDITION_WAITING)
}

/// Waits until the request says that it waits for this reason; returns the words.
async fn wait_reason(ns: &Namespace, reason: &str) -> anyhow::Result<String> {
    let says = |found: Option<&PostgresOpsRequest>| {
        waiting(found).is_some_and(|it| it.is_true() && it.reason.as_deref() == Some(reason))
    };
    let api: Api<PostgresOpsRequest> = ns.api();
    let found = wait_for(&api, "orders-17", &format!("the reason {reason}"), TIMEOUT, says).await?;
    let message = waiting(found.as_ref()).and_then(|it| it.message.clone());
    message.context("the condition has no message")
}

async fn wait_replicas(ns: &Namespace, replicas: i32) -> anyhow::Result<()> {
    let has = |found: Option<&StatefulSet>| {
        found.and_then(|it| it.spec.as_ref()?.replicas).is_some_and(|found| found == replicas)
    };
    wait_for(&ns.api(), "orders", &format!("{replicas} replicas"), SOON, has).await.map(drop)
}

/// The upgrade has ended, and the request no longer says that it waits.
async fn ensure_not_waiting(ns: &Namespace) -> anyhow::Result<()> {
    let request = ns.api::<PostgresOpsRequest>().get("orders-17").await?;
    ensure!(waiting(Some(&request)).is_none(), "it still waits: {:?}", waiting(Some(&request)));
    Ok(())
}

#[tokio::test]
async fn pod_that_finds_no_node_is_told_and_starts_once_that_is_corrected() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = start(ns, |upgrade| upgrade).await?;
        let words = wait_reason(ns, "DatabasePodUnschedulable").await?;
        ensure!(words.contains("nodes are available"), "the scheduler's words are missing: {words}");
        let request = ns.api::<PostgresOpsRequest>().get("orders-17").await?;
        let outage = request.status.and_then(|status| status.outage).unwrap_or_default();
        ensure!(outage.starts_with("since "), "status.outage is {outage:?} while the database is down");
        require_label(ns, None).await?;
        let pod = |found: Option<&Pod>| {
            found.is_some_and(|pod| pod.spec.as_ref().is_some_and(|it| it.node_name.is_some()))
        };
        wait_for(&ns.api::<Pod>(), "orders-0", "a node", SOON, pod).await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure_not_waiting(ns).await
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn workload_that_another_client_changes_in_the_outage_is_set_up_again() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = start(ns, |upgrade| upgrade).await?;
        wait_reason(ns, "DatabasePodUnschedulable").await?;
        patch_workload(ns, json!({ "replicas": 0 })).await?;
        wait_replicas(ns, 1).await?;
        ns.kubectl(&["set", "image", "statefulset/orders", "postgres=localhost/nosuch:1"], None)
            .await?
            .succeeded()?;
        let pod = ns.api::<Pod>().get_opt("orders-0").await?.and_then(|pod| pod.uid());
        if pod.is_some() {
            ns.api::<Pod>().delete("orders-0", &DeleteParams::default()).await?;
        }
        require_label(ns, None).await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure_not_waiting(ns).await
    })
    .await
}

#[tokio::test]
async fn workload_that_is_deleted_in_the_outage_is_created_again() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = start(ns, |upgrade| upgrade).await?;
        wait_reason(ns, "DatabasePodUnschedulable").await?;
        let uid = ns.api::<StatefulSet>().get("orders").await?.uid();
        // The next one has no node selector: it is built from the Postgres.
        ns.api::<StatefulSet>().delete("orders", &DeleteParams::default()).await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure!(ns.api::<StatefulSet>().get("orders").await?.uid() != uid, "it was not deleted");
        ensure_not_waiting(ns).await
    })
    .await
}

/// The rollback needs a node too.
#[rstest::rstest]
#[case::cancelled(None, "Cancelled")]
// Each step has this time: more than a busy machine needs for those that succeed.
#[case::after_its_timeout(Some("75s"), "StartDatabaseFailed")]
#[tokio::test]
async fn upgrade_whose_pod_finds_no_node_is_rolled_back(
    #[case] timeout: Option<&str>,
    #[case] expected: &str,
) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = start(ns, |upgrade| match timeout {
            Some(timeout) => upgrade.field("timeout", json!(timeout)).field("maxRetries", json!(0)),
            None => upgrade,
        })
        .await?;
        upgrade.wait_step(Step::StartDatabase).await?;
        wait_reason(ns, "DatabasePodUnschedulable").await?;
        if timeout.is_none() {
            let annotation = format!("{}=true", names::ANNOTATION_CANCEL);
            ns.kubectl(&["annotate", "pgops", "orders-17", &annotation], None).await?.succeeded()?;
        }
        let is_undone = |found: Option<&PostgresOpsRequest>| {
            let step = found.and_then(|it| it.status.as_ref()?.step.as_deref());
            step.is_some_and(|step| step.ends_with("StopDatabase (undo)"))
        };
        let api: Api<PostgresOpsRequest> = ns.api();
        wait_for(&api, "orders-17", "the rollback", TIMEOUT, is_undone).await?;
        wait_reason(ns, "DatabasePodUnschedulable").await?;
        require_label(ns, None).await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == expected, "{reason}: {message}");
        if timeout.is_some() {
            ensure!(message.contains("nodes are available"), "the scheduler's words are missing: {message}");
        }
        let step = ns.api::<PostgresOpsRequest>().get("orders-17").await?.status.and_then(|it| it.step);
        ensure!(step.as_deref() == Some("9/16 StartDatabase"), "the step that failed is {step:?}");
        assert_untouched(&orders, "13.16", &before).await?;
        ensure_not_waiting(ns).await
    })
    .await
}

/// The pod was just deleted when the request starts: the preflight waits for the next one.
#[tokio::test]
async fn database_that_is_just_restarting_is_waited_for() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-13").database("orders").to("13.23").field("apply", json!("Always"));
        ns.api::<Pod>().delete("orders-0", &DeleteParams::default()).await?;
        let upgrade = upgrade.create().await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// It rolls out the image of the catalog, which the pod has already.
#[tokio::test]
async fn upgrade_to_the_version_and_image_that_run_restarts_nothing() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let pod = ns.api::<Pod>().get("orders-0").await?.uid();
        let upgrade = ns.upgrade("again").database("orders").to("13.16").create().await?;
        let request = upgrade.wait_successful().await?;
        let status = request.status.context("the request has no status")?;
        ensure!(status.outage.is_none(), "an outage was reported: {:?}", status.outage);
        let message = condition::find(&status.conditions, pgops_api::opsrequest::CONDITION_SUCCESSFUL)
            .and_then(|it| it.message.clone())
            .unwrap_or_default();
        ensure!(message.contains("was not restarted"), "{message}");
        ensure!(ns.api::<Pod>().get("orders-0").await?.uid() == pod, "the pod was replaced");
        orders.wait_ready().await.map(drop)
    })
    .await
}
