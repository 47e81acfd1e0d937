//! Operations on a running database whose Secret is missing, whose next pod is refused, whose change another client undoes, or that
//! are cancelled halfway.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{LimitRange, Pod, Secret};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use pgops_api::pod_template::resources;
use pgops_api::{Postgres, names};
use pgops_e2e::{Namespace, UpgradeRequestBuilder, wait_for, with_namespace};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(2);

fn request(ns: &Namespace, name: &str, type_: &str) -> UpgradeRequestBuilder {
    ns.upgrade(name).database("orders").without("updateVersion").field("type", json!(type_))
}

async fn pod(ns: &Namespace) -> anyhow::Result<String> {
    ns.api::<Pod>().get(&names::pod("orders", 0)).await?.uid().context("a pod without a uid")
}

#[tokio::test]
async fn server_whose_password_is_missing_is_not_restarted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        let before = pod(ns).await?;
        ns.api::<Secret>().delete(&names::auth_secret("orders"), &DeleteParams::default()).await?;
        let restart = request(ns, "restart", "Restart").create().await?;
        let (reason, message) = restart.wait_failed().await?;
        ensure!(reason == "SecretNotFound", "{reason}: {message}");
        ensure!(message.contains("was not touched: Secret orders-auth does not exist"), "{message}");
        ensure!(pod(ns).await? == before, "the pod was replaced");
        orders.wait_ready().await.map(drop)
    })
    .await
}

#[tokio::test]
async fn server_whose_secrets_and_variables_are_incomplete_is_not_restarted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("settings", names::USER_CONF, "work_mem = '5MB'").await?;
        ns.secret("variables", "A", "b").await?;
        let source = json!({"secretKeyRef": {"name": "variables", "key": "A"}});
        let container = json!({"name": "postgres", "env": [{"name": "A", "valueFrom": source}]});
        let orders = ns.postgres("orders").version("17.11");
        let orders = orders.field("configSecret", json!({"name": "settings"}));
        let orders =
            orders.field("podTemplate", json!({"spec": {"containers": [container]}})).ready().await?;
        let before = pod(ns).await?;
        let secrets = ns.api::<Secret>();
        let refused = async |name: &str, expected: &str| {
            let restart = request(ns, name, "Restart").create().await?;
            let (reason, message) = restart.wait_failed().await?;
            ensure!(reason == "ReferenceNotFound" && message.contains(expected), "{reason}: {message}");
            ensure!(message.contains("was not touched"), "{message}");
            ensure!(pod(ns).await? == before, "the pod was replaced");
            anyhow::Ok(())
        };
        secrets.delete("settings", &DeleteParams::default()).await?;
        refused("without-settings", "Secret settings does not exist").await?;
        ns.secret("settings", names::USER_CONF, "work_mem = '5MB'").await?;
        secrets.delete("variables", &DeleteParams::default()).await?;
        ns.secret("variables", "B", "b").await?;
        refused("without-variable", "Secret variables has no key \"A\"").await?;
        secrets.delete("variables", &DeleteParams::default()).await?;
        ns.secret("variables", "A", "b").await?;
        let renamed = Patch::Merge(json!({"data": {"password": null, "PASSWORD": "eA=="}}));
        secrets.patch(&names::auth_secret("orders"), &PatchParams::default(), &renamed).await?;
        refused("without-password", "Secret orders-auth has no key \"password\"").await?;
        orders.wait_ready().await.map(drop)
    })
    .await
}

#[tokio::test]
async fn pod_is_replaced_only_if_the_next_one_is_admitted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let old =
            json!({"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}});
        let template = json!({"spec": {"containers": [{"name": "postgres", "resources": old}]}});
        let orders = ns.postgres("orders").version("17.11").field("podTemplate", template).ready().await?;
        // It has no room for two pods at the same time.
        ns.quota("compute", json!({"limits.memory": "512Mi"})).await?;
        let first = pod(ns).await?;
        request(ns, "restart", "Restart").create().await?.wait_successful().await?;
        let second = pod(ns).await?;
        ensure!(second != first, "the pod was not replaced");

        let new = json!({"postgres": {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}});
        let scaling = request(ns, "scale", "VerticalScaling").field("verticalScaling", new).create().await?;
        let (reason, message) = scaling.wait_failed().await?;
        ensure!(reason == "PodRefused", "{reason}: {message}");
        for part in
            ["serves with the previous resources: the API server would refuse", "exceeded quota: compute"]
        {
            ensure!(message.contains(part), "{part:?} is not in {message}");
        }
        let object = orders.object().await?;
        ensure!(resources(object.spec.pod_template.as_ref()) == Some(&old), "{:?}", object.spec.pod_template);
        ensure!(pod(ns).await? == second, "the pod was replaced");

        let range = json!({"type": "Container", "max": {"memory": "256Mi"}});
        let range = json!({"metadata": {"name": "bounds"}, "spec": {"limits": [range]}});
        ns.api::<LimitRange>().create(&PostParams::default(), &serde_json::from_value(range)?).await?;
        let (reason, message) = request(ns, "again", "Restart").create().await?.wait_failed().await?;
        ensure!(reason == "PodRefused" && message.contains("maximum memory usage"), "{reason}: {message}");
        ensure!(pod(ns).await? == second, "the pod was replaced");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn resources_that_a_gitops_tool_sets_back_are_not_claimed_to_be_there() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let old = json!({"requests": {"cpu": "10m", "memory": "64Mi"}});
        let template = json!({"spec": {"containers": [{"name": "postgres", "resources": old}]}});
        let orders = ns.postgres("orders").version("17.11").field("podTemplate", template.clone());
        let orders = orders.ready().await?;
        let before = pod(ns).await?;
        let new = json!({"postgres": {"resources": {"requests": {"cpu": "11m", "memory": "64Mi"}}}});
        let scaling = request(ns, "scale", "VerticalScaling").field("verticalScaling", new).create().await?;
        let ended = tokio::select! {
            ended = scaling.wait_failed() => ended,
            failed = apply_again_and_again(ns, &template) => match failed? {},
        };
        let (reason, message) = ended?;
        ensure!(reason == "SpecReverted", "{reason}: {message}");
        ensure!(
            message.contains("another client (argocd-controller) has changed spec.podTemplate"),
            "{message}"
        );
        let object = orders.object().await?;
        ensure!(resources(object.spec.pod_template.as_ref()) == Some(&old), "{:?}", object.spec.pod_template);
        ensure!(!object.annotations().contains_key(names::ANNOTATION_REPLACED), "a record is left");
        ensure!(pod(ns).await? == before, "the pod was replaced");
        Ok(())
    })
    .await
}

/// As a tool with self-heal does, and more often.
async fn apply_again_and_again(ns: &Namespace, template: &Value) -> anyhow::Result<Infallible> {
    let params =
        PatchParams { field_manager: Some("argocd-controller".to_owned()), ..PatchParams::default() };
    let manifest = Patch::Merge(json!({"spec": {"podTemplate": template}}));
    loop {
        ns.api::<Postgres>().patch("orders", &params, &manifest).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn rotation_that_is_cancelled_leaves_the_password() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        let secrets = ns.api::<Secret>();
        let name = names::auth_secret("orders");
        let before = secrets.get(&name).await?.data.unwrap_or_default();
        let rotation = request(ns, "rotate", "RotateAuth").create().await?;
        let is_proposed = |found: Option<&Secret>| {
            let data = found.and_then(|secret| secret.data.as_ref());
            data.is_some_and(|data| data.contains_key(names::NEXT_PASSWORD_ID))
        };
        wait_for(&secrets, &name, "the proposed password", TIMEOUT, is_proposed).await?;
        // One that no instance gives to a server.
        let invalid = Patch::Merge(json!({"stringData": {(names::NEXT_PASSWORD): "two\nlines"}}));
        secrets.patch(&name, &PatchParams::default(), &invalid).await?;
        let cancel = format!("{}=true", names::ANNOTATION_CANCEL);
        ns.kubectl(&["annotate", "pgops", rotation.name(), &cancel], None).await?.succeeded()?;

        let (reason, message) = rotation.wait_failed().await?;
        ensure!(reason == "Cancelled", "{reason}: {message}");
        ensure!(message.contains("was not changed"), "{message}");
        let after = secrets.get(&name).await?.data.unwrap_or_default();
        let keys: Vec<&str> = after.keys().map(String::as_str).collect();
        ensure!(keys == ["password", "username"], "the keys are {keys:?}");
        ensure!(after["password"] == before["password"], "the password was changed");
        ensure!(orders.value("SELECT 'alive'").await? == "alive");
        Ok(())
    })
    .await
}
