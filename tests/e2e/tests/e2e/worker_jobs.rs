//! What other controllers do to a worker's Job: they refuse it, add a container to it, or delete it when it has ended.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, Secret};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use pgops_api::opsrequest::{CONDITION_WAITING, Phase};
use pgops_api::{Postgres, PostgresOpsRequest, condition, names};
use pgops_e2e::injected_container::{AtSigterm, InjectedContainer, ensure_injected};
use pgops_e2e::{
    DataSet, Database, Fingerprint, Namespace, UpgradeRequest, assert_untouched, assert_upgraded, eventually,
    wait_for, with_namespace,
};
use serde_json::json;

const MINUTE: Duration = Duration::from_mins(1);

async fn orders(ns: &Namespace) -> anyhow::Result<(Database, Fingerprint)> {
    let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
    let before = orders.fingerprint().await?;
    Ok((orders, before))
}

async fn start(ns: &Namespace) -> anyhow::Result<UpgradeRequest> {
    ns.upgrade("orders-13").database("orders").to("13.23").create().await
}

/// Waits until the request waits for this reason, in these words of others.
async fn wait_waiting(ns: &Namespace, reason: &str, words: &str) -> anyhow::Result<()> {
    let waits = |found: Option<&PostgresOpsRequest>| {
        let status = found.and_then(|request| request.status.as_ref());
        let waiting = status.and_then(|status| condition::find(&status.conditions, CONDITION_WAITING));
        waiting.is_some_and(|waiting| {
            waiting.reason.as_deref() == Some(reason)
                && waiting.message.as_deref().is_some_and(|message| message.contains(words))
        })
    };
    let what = format!("condition Waiting, {reason}: {words}");
    wait_for(&ns.api(), "orders-13", &what, 2 * MINUTE, waits).await.map(drop)
}

fn ensure_waits_no_longer(request: &PostgresOpsRequest) -> anyhow::Result<()> {
    let conditions = request.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    ensure!(condition::find(&conditions, CONDITION_WAITING).is_none(), "it still waits: {conditions:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn quota_that_refuses_the_job_is_told_and_waited_for() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before) = orders(ns).await?;
        ns.quota("small", json!({ "count/jobs.batch": "0" })).await?;
        let upgrade = start(ns).await?;
        wait_waiting(ns, "JobRefused", "exceeded quota: small").await?;
        let request = ns.api::<PostgresOpsRequest>().get("orders-13").await?;
        ensure!(request.phase() == Phase::Pending, "it is {:?}", request.phase());
        ns.api::<ResourceQuota>().delete("small", &DeleteParams::default()).await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure_waits_no_longer(&upgrade.wait_successful().await?)
    })
    .await
}

#[tokio::test]
async fn quota_that_refuses_the_pod_is_told_and_can_be_cancelled() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before) = orders(ns).await?;
        ns.quota("small", json!({ "pods": "1" })).await?;
        let upgrade = start(ns).await?;
        wait_waiting(ns, "PodRefused", "exceeded quota: small").await?;
        let annotation = format!("{}=true", names::ANNOTATION_CANCEL);
        ns.kubectl(&["annotate", "pgops", "orders-13", &annotation], None).await?.succeeded()?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "Cancelled", "{reason}: {message}");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn limit_range_that_refuses_the_pod_is_told_and_limits_the_wait() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before) = orders(ns).await?;
        let limits = json!([{ "type": "Container", "max": { "memory": "64Mi" } }]);
        let range = json!({
            "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": "small" }, "spec": { "limits": limits },
        });
        // It would refuse the next pod of the database too.
        ns.override_guards("orders").await?;
        ns.accepts(&range).await?;
        let upgrade = ns.upgrade("orders-13").database("orders").to("13.23").field("timeout", json!("40s"));
        let upgrade = upgrade.create().await?;
        wait_waiting(ns, "PodRefused", "memory").await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PodRefused" && message.contains("was not touched"), "{reason}: {message}");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn missing_secret_of_the_configuration_is_told_and_waited_for() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("settings", names::USER_CONF, "work_mem = '8MB'\n").await?;
        let orders = ns.postgres("orders").version("13.16");
        let orders = orders.field("configSecret", json!({ "name": "settings" })).ready().await?;
        let before = orders.fingerprint().await?;
        // The next pod of the database requires it too.
        ns.override_guards("orders").await?;
        ns.api::<Secret>().delete("settings", &DeleteParams::default()).await?;
        let upgrade = start(ns).await?;
        wait_waiting(ns, "VolumeNotMounted", "\"settings\" not found").await?;
        ns.secret("settings", names::USER_CONF, "work_mem = '8MB'\n").await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure_waits_no_longer(&upgrade.wait_successful().await?)
    })
    .await
}

/// The Job fails, and is deleted at once: its result is recorded, and no other Job follows.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn job_that_a_policy_deletes_at_its_end_is_not_created_again() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before) = orders(ns).await?;
        let dry_run = ns.upgrade("orders-13").database("orders").to("17.11");
        let upgrade = dry_run.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
        let job = wait_job(ns, "orders-13").await?;
        let ends = json!({ "spec": { "ttlSecondsAfterFinished": 0, "activeDeadlineSeconds": 1 } });
        let patch = Patch::Merge(ends);
        ns.api::<Job>().patch(&job.name_any(), &PatchParams::default(), &patch).await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(message.contains("was not touched") || message.contains("not paused"), "{reason}: {message}");
        let is_deleted = |found: Option<&Job>| found.is_none();
        wait_for(&ns.api(), &job.name_any(), "the deletion", 2 * MINUTE, is_deleted).await?;
        tokio::time::sleep(Duration::from_secs(15)).await;
        ensure!(ns.jobs_of("orders-13").await?.is_empty(), "a Job was created again");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

async fn wait_job(ns: &Namespace, request: &str) -> anyhow::Result<Job> {
    eventually("a Job", MINUTE, async || ns.jobs_of(request).await?.pop().context("the request has none"))
        .await
}

/// The Job is deleted while its pod runs: another one continues.
#[tokio::test]
async fn job_that_a_user_deletes_is_created_again() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before) = orders(ns).await?;
        let upgrade = start(ns).await?;
        let job = wait_job(ns, "orders-13").await?;
        ns.api::<Job>().delete(&job.name_any(), &DeleteParams::background()).await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// It ignores SIGTERM: each pod ends 30 s after it was deleted, not after the 300 s of its spec.
#[tokio::test]
async fn injected_container_holds_neither_the_request_nor_the_next_one() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let policy = InjectedContainer::create(ns, AtSigterm::RunsOn).await?;
        let upgraded = upgrade_twice(ns).await;
        policy.delete().await?;
        upgraded
    })
    .await
}

async fn upgrade_twice(ns: &Namespace) -> anyhow::Result<()> {
    let (orders, before) = orders(ns).await?;
    let first = ns.upgrade("first").database("orders").to("13.23").create().await?;
    ensure_injected(&first.wait_runner_pods().await?)?;
    first.wait_successful().await?;
    // It waits until the pod of the first one has gone.
    let ended = tokio::time::Instant::now();
    let second = ns.upgrade("orders-13").database("orders").to("17.11").create().await?;
    let has_gone = |pod: Option<&Pod>| pod.is_none();
    for pod in first.runner_pods().await? {
        wait_for(&ns.api(), &pod.name_any(), "the end", 2 * MINUTE, has_gone).await?;
    }
    ensure!(ended.elapsed() < 2 * MINUTE, "the pod of the first request had all the time of its spec");
    assert_upgraded(&orders, &second, &before).await?;
    let is_free = |found: Option<&Postgres>| {
        found.is_some_and(|orders| !orders.annotations().contains_key(names::ANNOTATION_CLAIM))
    };
    wait_for(&ns.api(), "orders", "the release of the claim", 2 * MINUTE, is_free).await?;
    ensure!(first.runner_pods().await?.is_empty(), "the pod of a request that has ended runs on");
    first.delete().await?;
    second.delete().await
}

/// The pods of workers that have ended stay for their logs, and do not keep the data of a deleted database.
#[tokio::test]
async fn ended_worker_does_not_keep_the_claim_of_a_deleted_database() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before) = orders(ns).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        let workers = ListParams::default().labels(&format!("{}=orders-17", names::LABEL_REQUEST));
        ensure!(
            !ns.api::<Pod>().list(&workers).await?.items.is_empty(),
            "the worker's pod has no log any more"
        );
        let claim = names::claim("orders", 0);
        let old = ns.api::<PersistentVolumeClaim>().get(&claim).await?.uid();
        ns.api::<Postgres>().delete("orders", &DeleteParams::default()).await?;
        orders.wait_deleted().await?;
        let is_deleted = |found: Option<&PersistentVolumeClaim>| found.is_none_or(|claim| claim.uid() != old);
        wait_for(&ns.api(), &claim, "the deletion", 2 * MINUTE, is_deleted).await?;
        ns.postgres("orders").version("17.11").ready().await?;
        Ok(())
    })
    .await
}
