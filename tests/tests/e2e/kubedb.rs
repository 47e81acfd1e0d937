//! Manifests as people of KubeDB have them, and a catalog with a bad entry.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use pgops_api::PostgresVersion;
use pgops_e2e::{Cluster, Database, assert_upgraded};
use serde_json::{Value, json};

const V1: &str = include_str!("../../manifests/kubedb-v1.yaml");
const V1ALPHA2: &str = include_str!("../../manifests/kubedb-v1alpha2.yaml");
const ENTRY: &str = include_str!("../../manifests/kubedb-postgresversion.yaml");

#[tokio::test]
async fn manifests_of_kubedb_apply_unchanged_and_keep_unknown_fields() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            for (manifest, name, version) in [(V1, "as-v1", "13.23"), (V1ALPHA2, "as-v1alpha2", "15.18")] {
                ns.kubectl(&["apply", "-f", "-"], Some(manifest)).await?.succeeded()?;
                let database = Database::new(ns.clone(), name);
                database.wait_ready().await?;
                ensure!(database.server_version().await? == version, "{name} is not {version}");
                let again = ns.kubectl(&["apply", "-f", "-"], Some(manifest)).await?.succeeded()?;
                ensure!(again.stdout.contains("unchanged"), "a second apply changes it: {}", again.stdout);
            }
            let stored = |name: &'static str| async move {
                let json = ns
                    .kubectl(&["get", "postgreses.kubedb.com", name, "-o", "json"], None)
                    .await?
                    .succeeded()?;
                anyhow::Ok(serde_json::from_str::<Value>(&json.stdout)?)
            };
            let v1 = stored("as-v1").await?;
            for (pointer, value) in [
                ("/spec/monitor/prometheus/serviceMonitor/interval", json!("10s")),
                ("/spec/healthChecker/failureThreshold", json!(2)),
                ("/spec/leaderElection/period", json!("300ms")),
                ("/spec/podTemplate/metadata/annotations/note", json!("kept")),
                ("/spec/serviceTemplates/0/alias", json!("primary")),
                ("/metadata/labels/team", json!("billing")),
            ] {
                ensure!(v1.pointer(pointer) == Some(&value), "{pointer} was not kept: {v1}");
            }
            let v1alpha2 = stored("as-v1alpha2").await?;
            ensure!(
                v1alpha2.pointer("/spec/terminationPolicy") == Some(&json!("WipeOut")),
                "the policy: {v1alpha2}"
            );

            // The request in the form of KubeDB's documentation.
            let database = Database::new(ns.clone(), "as-v1");
            let before = database.fingerprint().await?;
            let upgrade = ns.upgrade("pg-version-upgrade").database("as-v1").to("17.11");
            let upgrade =
                upgrade.field("timeout", json!("5m")).field("apply", json!("IfReady")).create().await?;
            assert_upgraded(&database, &upgrade, &before).await
        })
        .await
}

#[tokio::test]
async fn catalog_entry_of_kubedb_applies_and_keeps_unknown_fields() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let run = async |args: &[&str], input| pgops_e2e::kubectl(args, input).await?.succeeded();
    run(&["apply", "-f", "-"], Some(ENTRY)).await?;
    let stored = run(&["get", "postgresversion", "e2e-unread-fields", "-o", "json"], None).await?;
    Api::<PostgresVersion>::all(cluster.client).delete("e2e-unread-fields", &DeleteParams::default()).await?;
    let stored: Value = serde_json::from_str(&stored.stdout)?;
    for pointer in ["/spec/exporter/image", "/spec/archiver/walg/image", "/spec/ui/0/name"] {
        ensure!(stored.pointer(pointer).is_some(), "{pointer} was not kept: {stored}");
    }
    Ok(())
}

#[tokio::test]
async fn catalog_entry_with_an_unreadable_version_is_warned_about() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let catalog = Api::<PostgresVersion>::all(cluster.client.clone());
    let name = "e2e-unreadable";
    let _ = catalog.delete(name, &DeleteParams::default()).await;
    let entry = json!({"metadata": {"name": name}, "spec": {"version": "seventeen", "db": {"image": "nowhere.invalid/x:1"}}});
    catalog.create(&PostParams::default(), &serde_json::from_value(entry)?).await?;
    let events = Api::<Event>::all(cluster.client.clone());
    let selector = format!("involvedObject.name={name},type=Warning");
    let warned = async {
        loop {
            let found = events.list(&ListParams::default().fields(&selector)).await?;
            if let Some(event) = found.items.into_iter().next() {
                return anyhow::Ok(event.message.unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let message = tokio::time::timeout(Duration::from_mins(1), warned).await;
    catalog.delete(name, &DeleteParams::default()).await?;
    let message = message.context("there is no warning Event about the entry")??;
    ensure!(message.contains("seventeen"), "the Event does not name the version: {message}");
    Ok(())
}
