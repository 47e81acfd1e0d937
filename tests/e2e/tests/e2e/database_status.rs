//! What the status of a database says: the server that really runs, changes that wait, and Events for its life.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use pgops_api::{Postgres, condition, names};
use pgops_e2e::{Database, LoopVolume, Namespace, wait_for, with_expandable_volume, with_namespace};
use serde_json::{Value, json};

/// The kubelet replaces a mounted Secret within about two minutes, and the provisioner asks each minute.
const TIMEOUT: Duration = Duration::from_mins(5);

async fn patch(ns: &Namespace, spec: Value) -> anyhow::Result<Postgres> {
    let patch = Patch::Merge(json!({"spec": spec}));
    Ok(ns.api::<Postgres>().patch("orders", &PatchParams::default(), &patch).await?)
}

/// Waits until a condition is as expected; returns its message.
async fn wait_condition(
    ns: &Namespace,
    type_: &str,
    expected: Option<(&str, &str)>,
) -> anyhow::Result<String> {
    let find =
        |found: Option<&Postgres>| found.and_then(|it| condition::find(it.conditions(), type_)).cloned();
    let matches = |found: Option<&Postgres>| {
        let found = find(found);
        let state = found.as_ref().map(|it| (it.status.as_str(), it.reason.as_deref().unwrap_or_default()));
        state == expected
    };
    let what = format!("{type_}: {expected:?}");
    let found = wait_for(&ns.api(), "orders", &what, TIMEOUT, matches).await?;
    Ok(find(found.as_ref()).and_then(|found| found.message).unwrap_or_default())
}

async fn wait_server(ns: &Namespace, version: &str) -> anyhow::Result<()> {
    let is_version = |found: Option<&Postgres>| {
        let server = found.and_then(|it| it.status.as_ref()?.server.as_ref());
        server.and_then(|server| server.version.as_deref()) == Some(version)
    };
    wait_for(&ns.api(), "orders", &format!("version {version}"), TIMEOUT, is_version).await.map(drop)
}

/// Waits until there is an Event with this reason on the database.
async fn wait_event(ns: &Namespace, reason: &str) -> anyhow::Result<()> {
    Database::new(ns.clone(), "orders").wait_event(reason).await.map(drop)
}

#[tokio::test]
async fn status_has_the_running_version_and_events_tell_the_life() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        wait_server(ns, "13.16").await?;
        let wide = ns.kubectl(&["get", "pg", "orders", "-o", "wide"], None).await?.succeeded()?.stdout;
        for part in ["orders-0", "13.16", "RUNNING", "STORAGE", " of "] {
            ensure!(wide.contains(part), "{part} is not in {wide}");
        }
        let object = orders.object().await?;
        let status = object.status.context("no status")?;
        ensure!(status.observed_generation == object.metadata.generation, "{status:?}");
        wait_event(ns, "Provisioned").await?;
        wait_event(ns, "Ready").await?;

        ns.upgrade("minor").database("orders").to("13.23").create().await?.wait_successful().await?;
        wait_server(ns, "13.23").await?;
        for reason in ["Paused", "Resumed", "VersionChanged"] {
            wait_event(ns, reason).await?;
        }
        let described = ns.kubectl(&["describe", "pg", "orders"], None).await?.succeeded()?.stdout;
        ensure!(described.contains("VersionChanged"), "{described}");
        // One for each change, and none for each look.
        let provisioned = orders.events("Provisioned").await?;
        ensure!(provisioned.len() == 1, "the Events Provisioned are {provisioned:?}");

        patch(ns, json!({"deletionPolicy": "Halt"})).await?;
        ns.api::<Postgres>().delete("orders", &DeleteParams::default()).await?;
        orders.wait_deleted().await?;
        for reason in ["Deleting", "ClaimKept", "SecretKept"] {
            wait_event(ns, reason).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn changes_that_wait_for_a_restart_are_named_until_it() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("settings", "user.conf", "work_mem = '5MB'\n").await?;
        let orders = ns.postgres("orders").version("17.11").env("FIRST", "1");
        let orders = orders.field("configSecret", json!({"name": "settings"})).ready().await?;
        wait_condition(ns, "RestartPending", None).await?;
        let container = json!({
            "name": "postgres", "env": [{"name": "FIRST", "value": "2"}], "resources": {"requests": {"cpu": "51m"}},
        });
        patch(ns, json!({"podTemplate": {"spec": {"containers": [container]}}, "clientAuthMode": "scram"})).await?;
        let message = wait_condition(ns, "RestartPending", Some(("True", "PodOutdated"))).await?;
        ensure!(message.contains("clientAuthMode, env FIRST, resources"), "{message}");
        wait_event(ns, "RestartPending").await?;
        // The next pod starts with these settings.
        orders.replace_pod().await?;
        wait_condition(ns, "RestartPending", None).await?;

        let settings = Patch::Merge(json!({"stringData": {"user.conf": "work_mem = '6MB'\n"}}));
        let secrets = ns.api::<k8s_openapi::api::core::v1::Secret>();
        secrets.patch("settings", &PatchParams::default(), &settings).await?;
        let message = wait_condition(ns, "RestartPending", Some(("True", "PodOutdated"))).await?;
        ensure!(message.contains("the contents of configSecret"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn rejected_and_pending_settings_are_told_and_a_deleted_config_map_takes_none_away()
-> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        let inline = |text: &str| json!({"configuration": {"inline": {"user.conf": text}}});
        patch(ns, inline("work_mem = lots\n")).await?;
        let message = wait_condition(ns, "SettingsRejected", Some(("True", "SettingsRejected"))).await?;
        ensure!(message.contains("invalid value for parameter \"work_mem\""), "{message}");
        wait_condition(ns, "Degraded", Some(("True", "SettingsRejected"))).await?;

        patch(ns, inline("work_mem = '8MB'\nmax_connections = 90\n")).await?;
        wait_condition(ns, "SettingsRejected", None).await?;
        let message = wait_condition(ns, "RestartPending", Some(("True", "PodOutdated"))).await?;
        ensure!(message.contains("setting max_connections"), "{message}");

        let settings = names::settings("orders");
        let maps = ns.api::<ConfigMap>();
        let old = maps.get(&settings).await?.uid();
        maps.delete(&settings, &DeleteParams::default()).await?;
        let is_back = |found: Option<&ConfigMap>| found.is_some_and(|map| map.uid() != old);
        wait_for(&maps, &settings, "its return", Duration::from_mins(2), is_back).await?;
        // The kubelet may have emptied the volume meanwhile.
        ensure!(orders.value("SHOW work_mem").await? == "8MB", "the settings were dropped");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pod_that_holds_up_the_removal_is_told() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        let (pods, pod) = (ns.api::<Pod>(), names::pod("orders", 0));
        let hold = |finalizers: &[&str]| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        pods.patch(&pod, &PatchParams::default(), &hold(&["example.com/hold"])).await?;
        ns.api::<Postgres>().delete("orders", &DeleteParams::default()).await?;
        wait_condition(ns, "Ready", Some(("False", "Deleting"))).await?;
        let message = wait_condition(ns, "DeletionBlocked", Some(("True", "PodNotEnding"))).await?;
        ensure!(message.contains("example.com/hold"), "{message}");
        wait_event(ns, "PodNotEnding").await?;
        pods.patch(&pod, &PatchParams::default(), &hold(&[])).await?;
        orders.wait_deleted().await
    })
    .await
}

#[tokio::test]
async fn storage_that_cannot_be_expanded_is_told() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.postgres("orders").version("17.11").ready().await?;
        // More than the volumes of the pool have.
        patch(ns, json!({"storage": {"resources": {"requests": {"storage": "5000Gi"}}}})).await?;
        let message = wait_condition(ns, "StorageResizing", Some(("False", "ExpansionNotAllowed"))).await?;
        ensure!(message.contains("data-orders-0") && message.contains("does not allow"), "{message}");
        wait_event(ns, "ExpansionNotAllowed").await?;
        wait_condition(ns, "Degraded", Some(("True", "ExpansionNotAllowed"))).await.map(drop)
    })
    .await
}

/// The test cluster has no driver that expands volumes: the test does what one does.
#[tokio::test]
async fn storage_is_expanded_if_its_class_allows_it() -> anyhow::Result<()> {
    with_namespace(async |ns| with_expandable_volume(ns, 500, async |volume| expand(ns, volume).await).await)
        .await
}

async fn expand(ns: &Namespace, volume: &LoopVolume) -> anyhow::Result<()> {
    ns.postgres("orders").version("17.11").field("storage", volume.claim()).ready().await?;
    patch(ns, json!({"storage": {"resources": {"requests": {"storage": "600Mi"}}}})).await?;
    wait_condition(ns, "StorageResizing", Some(("True", "Resizing"))).await?;
    let claims = ns.api::<PersistentVolumeClaim>();
    let name = names::claim("orders", 0);
    let claim = claims.get(&name).await?;
    let requested = claim.spec.and_then(|spec| spec.resources?.requests?.remove("storage"));
    ensure!(requested.as_ref().is_some_and(|size| size.0 == "600Mi"), "{requested:?}");

    let resized = Patch::Merge(json!({"spec": {"capacity": {"storage": "600Mi"}}}));
    let volumes = Api::<PersistentVolume>::all(ns.cluster().client.clone());
    volumes.patch(ns.name(), &PatchParams::default(), &resized).await?;
    let resized = Patch::Merge(json!({"status": {"capacity": {"storage": "600Mi"}}}));
    claims.patch_status(&name, &PatchParams::default(), &resized).await?;
    wait_condition(ns, "StorageResizing", None).await?;
    wait_event(ns, "StorageResized").await
}
