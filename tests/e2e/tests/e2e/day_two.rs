//! Requests that change a running database without changing its version, in the form of KubeDB's documentation.

mod ephemeral;
mod named_secret;
mod secret_and_cancel;

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Secret};
use kube::api::{LogParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use pgops_api::opsrequest::Phase;
use pgops_api::pod_template::resources;
use pgops_api::{Postgres, PostgresOpsRequest, condition, names};
use pgops_e2e::{
    Database, LoopVolume, Namespace, UpgradeRequest, UpgradeRequestBuilder, eventually, wait_for,
    with_expandable_volume, with_namespace,
};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(2);

fn request(ns: &Namespace, name: &str, type_: &str) -> UpgradeRequestBuilder {
    ns.upgrade(name).database("orders").without("updateVersion").field("type", json!(type_))
}

async fn pod(ns: &Namespace) -> anyhow::Result<String> {
    ns.api::<Pod>().get(&names::pod("orders", 0)).await?.uid().context("a pod without a uid")
}

/// Waits until the request has succeeded, and nothing of it is left on the database.
async fn succeeds(ns: &Namespace, request: UpgradeRequest) -> anyhow::Result<PostgresOpsRequest> {
    let done = request.wait_successful().await?;
    ensure!(ns.jobs_of(request.name()).await?.is_empty(), "{} has a Job", request.name());
    let is_released = |found: Option<&Postgres>| {
        let ours = [names::ANNOTATION_CLAIM, names::ANNOTATION_REPLACED, names::ANNOTATION_CANDIDATE];
        found.is_some_and(|it| !ours.iter().any(|key| it.annotations().contains_key(*key)))
    };
    wait_for(&ns.api(), "orders", "its release", TIMEOUT, is_released).await?;
    Ok(done)
}

fn outage(request: &PostgresOpsRequest) -> Option<&str> {
    request.status.as_ref()?.outage.as_deref()
}

fn is_done(request: &PostgresOpsRequest, stage: &str) -> bool {
    condition::find(request.conditions(), stage).is_some_and(pgops_api::Condition::is_true)
}

#[tokio::test]
async fn operations_on_a_running_database_take_effect_one_after_the_other() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        with_expandable_volume(ns, 500, async |volume| all_operations(ns, volume).await).await
    })
    .await
}

async fn all_operations(ns: &Namespace, volume: &LoopVolume) -> anyhow::Result<()> {
    let orders = ns.postgres("orders").version("17.11").field("storage", volume.claim()).ready().await?;
    restarts(ns, &orders).await?;
    scales(ns, &orders).await?;
    expands(ns).await?;
    reconfigures(ns, &orders).await?;
    rotates(ns, &orders).await
}

async fn restarts(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = pod(ns).await?;
    let restart = request(ns, "restart", "Restart").field("timeout", json!("5m"));
    let restart = restart.field("apply", json!("Always")).create().await?;
    // One at a time, as soon as admission has seen the first: what observes it is not faster.
    restart.wait_observed().await?;
    request(ns, "again", "Restart").rejected_with(&["PostgresOpsRequest restart"]).await?;
    let done = succeeds(ns, restart).await?;
    ensure!(pod(ns).await? != before, "the pod was not replaced");
    ensure!(
        is_done(&done, "Restart") && outage(&done).is_some_and(|it| it.ends_with('s')),
        "{:?}",
        done.status
    );
    orders.wait_ready().await?;
    ensure!(orders.value("SELECT 'alive'").await? == "alive");
    Ok(())
}

async fn scales(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let new = json!({"requests": {"cpu": "11m", "memory": "100Mi"}, "limits": {"memory": "1Gi"}});
    let scaling = json!({"postgres": {"resources": new}});
    let scaling = request(ns, "scale", "VerticalScaling").field("verticalScaling", scaling).create().await?;
    let done = succeeds(ns, scaling).await?;
    ensure!(is_done(&done, "VerticalScale") && is_done(&done, "Restart"), "{:?}", done.status);
    let object = orders.object().await?;
    ensure!(resources(object.spec.pod_template.as_ref()) == Some(&new), "{:?}", object.spec.pod_template);
    let pod = ns.api::<Pod>().get(&names::pod("orders", 0)).await?;
    let server = pod.spec.context("no spec")?.containers.into_iter().next().context("no container")?;
    let limits = server.resources.and_then(|it| it.limits).unwrap_or_default();
    ensure!(limits.get("memory").is_some_and(|memory| memory.0 == "1Gi"), "{limits:?}");
    Ok(())
}

/// The test cluster has no driver that expands volumes: the test does what one does.
async fn expands(ns: &Namespace) -> anyhow::Result<()> {
    let before = pod(ns).await?;
    let grow = |name: &str, size: &str| {
        let expansion = json!({"mode": "Online", "postgres": size});
        request(ns, name, "VolumeExpansion").field("volumeExpansion", expansion)
    };
    grow("shrink", "90Mi").rejected_with(&["has 100Mi", "90Mi is not larger"]).await?;

    let expansion = grow("grow", "600Mi").create().await?;
    let claims = ns.api::<PersistentVolumeClaim>();
    let name = names::claim("orders", 0);
    let is_raised = |found: Option<&PersistentVolumeClaim>| {
        let requests = found.and_then(|claim| claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref());
        requests.and_then(|it| it.get("storage")).is_some_and(|size| size.0 == "600Mi")
    };
    wait_for(&claims, &name, "the request for 600Mi", TIMEOUT, is_raised).await?;
    let resized = Patch::Merge(json!({"spec": {"capacity": {"storage": "600Mi"}}}));
    let volumes = Api::<PersistentVolume>::all(ns.cluster().client.clone());
    volumes.patch(ns.name(), &PatchParams::default(), &resized).await?;
    let resized = Patch::Merge(json!({"status": {"capacity": {"storage": "600Mi"}}}));
    claims.patch_status(&name, &PatchParams::default(), &resized).await?;
    let done = succeeds(ns, expansion).await?;
    ensure!(is_done(&done, "VolumeExpansion") && outage(&done).is_none(), "{:?}", done.status);
    ensure!(pod(ns).await? == before, "the pod was replaced");
    Ok(())
}

async fn reconfigures(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = pod(ns).await?;
    let apply = |settings: &str| json!({"applyConfig": {"user.conf": settings}});
    let live = apply("work_mem = '5MB'\n");
    let live = request(ns, "reconfigure", "Reconfigure").field("configuration", live).create().await?;
    let done = succeeds(ns, live).await?;
    ensure!(is_done(&done, "CheckSettings") && is_done(&done, "Reload"), "{:?}", done.status);
    ensure!(outage(&done).is_none() && pod(ns).await? == before, "the server was restarted for work_mem");
    ensure!(orders.value("SHOW work_mem").await? == "5MB");

    let restart = apply("max_connections = 37\n");
    let restart = request(ns, "restarting", "Reconfigure").field("configuration", restart).create().await?;
    let done = succeeds(ns, restart).await?;
    ensure!(is_done(&done, "Restart") && pod(ns).await? != before, "{:?}", done.status);
    ensure!(orders.value("SHOW max_connections").await? == "37");
    ensure!(orders.value("SHOW work_mem").await? == "5MB", "an earlier setting was lost");
    Ok(())
}

async fn rotates(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let keys = async || {
        let secret = ns.api::<Secret>().get(&names::auth_secret("orders")).await?;
        anyhow::Ok(secret.data.unwrap_or_default())
    };
    let (before, pod_before) = (keys().await?, pod(ns).await?);
    logs_statements(orders).await?;
    let rotation = request(ns, "rotate", "RotateAuth").create().await?;
    let done = succeeds(ns, rotation).await?;
    ensure!(is_done(&done, "UpdatePassword") && is_done(&done, "UpdateSecret"), "{:?}", done.status);
    let after = keys().await?;
    let names: Vec<&str> = after.keys().map(String::as_str).collect();
    ensure!(names == ["password", "password.prev", "username"], "the keys are {names:?}");
    ensure!(after["password"] != before["password"], "the password is the same");
    ensure!(after["password.prev"] == before["password"], "the earlier password is lost");
    ensure!(pod(ns).await? == pod_before, "the pod was replaced");
    // With the password of the Secret.
    ensure!(orders.value("SELECT 'alive'").await? == "alive");
    let log = ns.api::<Pod>().logs("orders-0", &LogParams::default()).await?;
    ensure!(log.contains(LOGGED), "the server should log statements: {log}");
    ensure!(!log.contains("$4096:"), "what the server stores of the password is in its log");
    Ok(())
}

/// A statement that the server logs.
const LOGGED: &str = "SELECT 'statements are logged'";

/// Has the server log all statements, as many do for those that change definitions.
async fn logs_statements(orders: &Database) -> anyhow::Result<()> {
    for setting in ["log_statement = 'all'", "log_transaction_sample_rate = 1"] {
        orders.sql("postgres", &format!("ALTER SYSTEM SET {setting}")).await?;
    }
    orders.sql("postgres", "SELECT pg_reload_conf()").await?;
    // It only tells the server, which reads the settings when it gets to it.
    eventually("the logging of statements", TIMEOUT, async || {
        let logged = orders.value("SHOW log_statement").await?;
        ensure!(logged == "all", "log_statement is {logged}");
        Ok(())
    })
    .await?;
    orders.sql("postgres", LOGGED).await.map(drop)
}

#[tokio::test]
async fn operation_that_fails_leaves_the_database_as_it_was() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        let before = pod(ns).await?;
        rejected_settings_are_not_made(ns, &orders).await?;
        missing_library_is_named(ns, &orders).await?;
        secret_with_bad_settings_is_undone(ns, &orders).await?;
        resources_that_no_node_has_are_undone(ns, &orders).await?;
        ensure!(pod(ns).await? != before, "nothing was tried");
        storage_that_cannot_grow_is_told(ns, &orders).await
    })
    .await
}

async fn rejected_settings_are_not_made(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = pod(ns).await?;
    let wrong = json!({"applyConfig": {"user.conf": "work_mem = 'lots'\n"}});
    let request = request(ns, "wrong", "Reconfigure").field("configuration", wrong).create().await?;
    let (reason, message) = request.wait_failed().await?;
    ensure!(reason == "SettingsRejected", "{reason}: {message}");
    for part in ["was not touched", "invalid value for parameter \"work_mem\""] {
        ensure!(message.contains(part), "{part:?} is not in {message}");
    }
    ensure!(pod(ns).await? == before && orders.object().await?.inline_settings().is_empty());
    let settings = ns.api::<ConfigMap>().get(&names::settings("orders")).await?.data.unwrap_or_default();
    ensure!(settings.get(names::INLINE_CONF).is_none_or(String::is_empty), "{settings:?}");
    Ok(())
}

async fn missing_library_is_named(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = pod(ns).await?;
    let wrong = json!({"applyConfig": {"user.conf": "shared_preload_libraries = 'auto_explain, nosuch'\n"}});
    let request = request(ns, "library", "Reconfigure").field("configuration", wrong).create().await?;
    let (reason, message) = request.wait_failed().await?;
    ensure!(reason == "SettingsRejected", "{reason}: {message}");
    ensure!(message.contains("could not find library \"nosuch\" of shared_preload_libraries"), "{message}");
    ensure!(pod(ns).await? == before && orders.object().await?.inline_settings().is_empty());
    Ok(())
}

async fn secret_with_bad_settings_is_undone(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = pod(ns).await?;
    ns.secret("bad", "user.conf", "max_connections = 'hunter2'\n").await?;
    let change = json!({"configSecret": {"name": "bad"}});
    let request = request(ns, "bad-secret", "Reconfigure").field("configuration", change).create().await?;
    let (reason, message) = request.wait_failed().await?;
    ensure!(reason == "SettingsRejected", "{reason}: {message}");
    ensure!(message.contains("serves with the previous settings"), "{message}");
    ensure!(message.contains("invalid value for parameter \"max_connections\""), "{message}");
    let postgres = serde_json::to_string(&orders.object().await?.status)?;
    ensure!(!message.contains("hunter2") && !postgres.contains("hunter2"), "{message} {postgres}");
    ensure!(orders.object().await?.spec.config_secret.is_none(), "the Secret is still named");
    ensure!(pod(ns).await? == before, "the pod was replaced");
    ensure!(orders.value("SHOW max_connections").await? == "100");
    Ok(())
}

async fn resources_that_no_node_has_are_undone(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = orders.object().await?.spec.pod_template;
    let greedy = json!({"postgres": {"resources": {"requests": {"memory": "900Gi"}}}});
    let request = request(ns, "greedy", "VerticalScaling").field("verticalScaling", greedy);
    // Long enough for the previous server to stop on a busy machine: what is to end the request is the scheduler's answer.
    let request = request.field("timeout", json!("45s")).create().await?;
    let (reason, message) = request.wait_failed().await?;
    ensure!(reason == "PodUnschedulable", "{reason}: {message}");
    ensure!(message.contains("serves with the previous resources after "), "{message}");
    ensure!(message.contains("Insufficient memory"), "the scheduler's words are missing: {message}");
    let after = orders.object().await?.spec.pod_template;
    ensure!(resources(after.as_ref()) == resources(before.as_ref()), "{after:?} instead of {before:?}");
    orders.wait_ready().await.map(drop)
}

async fn storage_that_cannot_grow_is_told(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let expansion: Value = json!({"mode": "Online", "postgres": "5000Gi"});
    let request = request(ns, "grow", "VolumeExpansion").field("volumeExpansion", expansion).create().await?;
    let (reason, message) = request.wait_failed().await?;
    ensure!(reason == "ExpansionNotAllowed", "{reason}: {message}");
    ensure!(message.contains("was not touched") && message.contains("does not allow"), "{message}");
    let requested =
        orders.object().await?.spec.storage.and_then(|it| it.resources?.requests?.remove("storage"));
    ensure!(requested.as_ref().is_some_and(|size| size.0 == "1Gi"), "{requested:?}");
    ensure!(request.wait_ended().await? == Phase::Failed);
    Ok(())
}
