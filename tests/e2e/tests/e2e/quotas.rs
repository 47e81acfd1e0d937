//! Namespaces with quotas: what they refuse is told, and what they admit works.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{LimitRange, Pod, ResourceQuota, Secret};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use pgops_api::opsrequest::CONDITION_WAITING;
use pgops_api::{Postgres, PostgresOpsRequest, condition, names};
use pgops_e2e::{DataSet, Namespace, assert_upgraded, wait_for, with_namespace};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(2);

async fn quota(ns: &Namespace, hard: Value) -> anyhow::Result<()> {
    ns.quota("compute", hard).await
}

/// A pod template with resources for the server.
fn resources(resources: &Value) -> Value {
    json!({"spec": {"containers": [{"name": "postgres", "resources": resources}]}})
}

/// Waits until a condition has this status and reason; returns its message.
async fn wait_condition(ns: &Namespace, type_: &str, status: &str, reason: &str) -> anyhow::Result<String> {
    let find = |found: Option<&Postgres>| {
        let found = found.and_then(|it| condition::find(it.conditions(), type_))?;
        (found.status == status && found.reason.as_deref() == Some(reason))
            .then(|| found.message.clone().unwrap_or_default())
    };
    let what = format!("{type_}={status} {reason}");
    let found = wait_for(&ns.api(), "orders", &what, TIMEOUT, |found| find(found).is_some()).await?;
    find(found.as_ref()).context("no condition")
}

async fn wait_condition_cleared(ns: &Namespace, type_: &str) -> anyhow::Result<()> {
    let is_cleared =
        |found: Option<&Postgres>| found.is_some_and(|it| condition::find(it.conditions(), type_).is_none());
    wait_for(&ns.api(), "orders", &format!("no {type_}"), TIMEOUT, is_cleared).await.map(drop)
}

#[tokio::test]
async fn namespace_with_quota_on_limits_runs_a_database_and_its_upgrades() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let hard = json!({"requests.cpu": "2", "requests.memory": "6Gi", "limits.cpu": "6", "limits.memory": "12Gi"});
        quota(ns, hard).await?;
        let range = json!({"type": "Container", "max": {"cpu": "2", "memory": "6Gi"}, "min": {"memory": "4Mi"}});
        let bounds = json!({"metadata": {"name": "bounds"}, "spec": {"limits": [range]}});
        let bounds = serde_json::from_value(bounds)?;
        ns.api::<LimitRange>().create(&PostParams::default(), &bounds).await?;
        let template = resources(&json!({
            "requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"},
        }));
        let orders = ns.postgres("orders").version("13.16").field("podTemplate", template);
        let orders = orders.filled_with(&[DataSet::Kept]).await?;
        let before = orders.fingerprint().await?;
        let minor = ns.upgrade("minor").database("orders").to("13.23").create().await?;
        assert_upgraded(&orders, &minor, &before).await?;
        // With all containers of a worker.
        let check = ns.upgrade("check").database("orders").to("17.11");
        let check = check.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
        check.wait_successful().await.map(drop)
    })
    .await
}

#[tokio::test]
async fn pod_that_a_quota_refuses_is_told_until_it_fits() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        quota(ns, json!({"limits.cpu": "2", "limits.memory": "2Gi"})).await?;
        let orders = ns.postgres("orders").version("17.11").create().await?;
        let message = wait_condition(ns, "Ready", "False", "PodRefused").await?;
        ensure!(message.contains("must specify limits.cpu"), "{message}");
        let told = orders.wait_event("PodRefused").await?;
        ensure!(told.len() == 1 && told[0].contains("must specify limits.cpu"), "{told:?}");

        let template = resources(&json!({"limits": {"cpu": "1", "memory": "512Mi"}}));
        let patch = Patch::Merge(json!({"spec": {"podTemplate": template}}));
        ns.api::<Postgres>().patch("orders", &PatchParams::default(), &patch).await?;
        orders.wait_ready().await.map(drop)
    })
    .await
}

/// In the outage the old pod would not be created again either.
#[tokio::test]
async fn upgrade_waits_while_a_limit_range_would_refuse_the_next_pod() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let template = resources(&json!({
            "requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"},
        }));
        let orders = ns.postgres("orders").version("13.16").field("podTemplate", template);
        let orders = orders.filled_with(&[DataSet::Kept]).await?;
        let before = orders.fingerprint().await?;
        let pod = ns.api::<Pod>().get("orders-0").await?.uid();
        let range = json!({"type": "Container", "maxLimitRequestRatio": {"memory": "2"}});
        let range = json!({"metadata": {"name": "bounds"}, "spec": {"limits": [range]}});
        ns.api::<LimitRange>().create(&PostParams::default(), &serde_json::from_value(range)?).await?;
        // A new template is asked about at once.
        let label = json!({"spec": {"podTemplate": {"metadata": {"labels": {"team": "shop"}}}}});
        ns.api::<Postgres>().patch("orders", &PatchParams::default(), &Patch::Merge(label)).await?;
        let message = wait_condition(ns, "RestartBlocked", "True", "PodRefused").await?;
        ensure!(message.contains("max limit to request ratio"), "{message}");

        let upgrade = ns.upgrade("minor").database("orders").to("13.23").create().await?;
        let waits = |found: Option<&PostgresOpsRequest>| {
            let waiting = found.and_then(|it| condition::find(it.conditions(), CONDITION_WAITING));
            waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("RestartBlocked"))
        };
        wait_for(&ns.api(), "minor", "the reason RestartBlocked", TIMEOUT, waits).await?;
        ensure!(ns.api::<Pod>().get("orders-0").await?.uid() == pod, "the pod was replaced");
        ns.api::<LimitRange>().delete("bounds", &DeleteParams::default()).await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        wait_condition_cleared(ns, "RestartBlocked").await
    })
    .await
}

/// Kubernetes itself would wait longer after each attempt.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn pod_that_a_quota_refuses_is_created_soon_after_the_quota_is_raised() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        quota(ns, json!({"pods": "0"})).await?;
        let orders = ns.postgres("orders").version("17.11").create().await?;
        let message = wait_condition(ns, "Ready", "False", "PodRefused").await?;
        ensure!(message.contains("exceeded quota: compute"), "{message}");
        // After this, Kubernetes' next attempt would be minutes away.
        tokio::time::sleep(Duration::from_mins(1)).await;
        ns.api::<ResourceQuota>().delete("compute", &DeleteParams::default()).await?;
        orders.wait_ready().await.map(drop)
    })
    .await
}

#[tokio::test]
async fn auth_secret_is_told_and_looked_up_although_a_quota_refuses_secrets() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        quota(ns, json!({"secrets": "0"})).await?;
        let orders = ns.postgres("orders").version("17.11").create().await?;
        let message = wait_condition(ns, "ProvisioningStarted", "False", "ReconcileFailed").await?;
        for part in ["create Secret orders-auth", "exceeded quota: compute"] {
            ensure!(message.contains(part), "{part:?} is not in {message}");
        }
        ns.api::<ResourceQuota>().delete("compute", &DeleteParams::default()).await?;
        orders.wait_ready().await?;

        quota(ns, json!({"secrets": "0"})).await?;
        ns.api::<Secret>().delete(&names::auth_secret("orders"), &DeleteParams::default()).await?;
        wait_condition(ns, "AuthSecretMissing", "True", "SecretNotFound").await.map(drop)
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn child_that_a_quota_refuses_is_told_until_it_is_admitted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        quota(ns, json!({"services": "2"})).await?;
        let orders = ns.postgres("orders").version("17.11").create().await?;
        let message = wait_condition(ns, "ProvisioningStarted", "False", "ReconcileFailed").await?;
        ensure!(
            message.contains("Service orders") && message.contains("exceeded quota: compute"),
            "{message}"
        );
        let told = orders.wait_event("ReconcileFailed").await?;
        ensure!(told.len() == 1 && told[0].contains("exceeded quota: compute"), "{told:?}");
        ns.api::<ResourceQuota>().delete("compute", &DeleteParams::default()).await?;
        orders.wait_ready().await?;
        wait_condition(ns, "ProvisioningStarted", "True", "ProvisioningStarted").await.map(drop)
    })
    .await
}
