//! What cannot be built is told by `kubectl apply`, and a database that exists accepts every repair.

use anyhow::{Context, ensure};
use kube::api::{ListParams, Patch, PatchParams};
use pgops_api::{Postgres, names};
use pgops_e2e::{Namespace, with_namespace};
use serde_json::{Value, json};

/// The manifest of a database with another value in one place.
fn manifest(ns: &Namespace, pointer: &str, value: Value) -> anyhow::Result<Value> {
    let mut manifest = ns.postgres("orders").version("17.11").manifest().clone();
    let (parent, key) = pointer.rsplit_once('/').context("not a pointer")?;
    manifest.pointer_mut(parent).context("no such field")?[key] = value;
    Ok(manifest)
}

fn containers(resources: &Value) -> Value {
    json!({"spec": {"containers": [{"name": "postgres", "resources": resources}]}})
}

#[tokio::test]
async fn database_that_cannot_be_built_is_denied_with_field_value_and_remedy() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let size = "/spec/storage/resources/requests/storage";
        let long = "o".repeat(53);
        for (pointer, value, parts) in [
            (size, json!("1GiB"), ["1GiB", "write \"1Gi\""]),
            (size, json!("-1Gi"), ["-1Gi", "above zero"]),
            (size, json!("0"), ["\"0\"", "above zero"]),
            ("/spec/storage/accessModes", json!(["ReadWriteTwice"]), ["ReadWriteTwice", "ReadWriteOnce"]),
            ("/spec/storage/accessModes", json!(["ReadOnlyMany"]), ["ReadOnlyMany", "ReadWriteOnce"]),
            ("/spec/storage/volumeMode", json!("Block"), ["Block", "Filesystem"]),
            ("/spec/storage/storageClassName", json!("Fast SSD"), ["Fast SSD", "storageClassName"]),
            ("/metadata/name", json!("orders.v2"), ["orders.v2", "starting with a letter"]),
            ("/metadata/name", json!("2orders"), ["2orders", "starting with a letter"]),
            ("/metadata/name", json!(long), [long.as_str(), "52 characters"]),
            ("/spec/version", json!("99.1"), ["99.1", "PostgresVersion"]),
            (
                "/spec/podTemplate",
                containers(&json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}})),
                ["requests.memory", "limit"],
            ),
            ("/spec/podTemplate", containers(&json!({"limits": {"cpu": "two"}})), ["limits.cpu", "two"]),
            (
                "/spec/podTemplate",
                json!({"spec": {"securityContext": {"runAsUser": 0}}}),
                ["runAsUser", "root"],
            ),
            ("/spec/podTemplate", json!({"metadata": {"labels": {"a": "b c"}}}), ["b c", "label"]),
            ("/spec/configSecret", json!({"name": "My_Conf"}), ["configSecret", "My_Conf"]),
        ] {
            let message = ns.rejects(&manifest(ns, pointer, value)?).await?;
            for part in parts {
                ensure!(message.contains(part), "{pointer}: the denial should contain {part:?}: {message}");
            }
        }
        let stored = ns.api::<Postgres>().list(&ListParams::default()).await?.items;
        ensure!(stored.is_empty(), "a denied database is stored: {stored:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn amounts_as_numbers_and_empty_access_modes_run() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let storage = json!({"accessModes": [], "resources": {"requests": {"storage": 1_073_741_824}}});
        let resources = json!({"requests": {"cpu": 0.1, "memory": "128Mi"}, "limits": {"memory": "512Mi"}});
        let orders = ns.postgres("orders").version("17.11");
        let orders =
            orders.field("storage", storage).field("podTemplate", containers(&resources)).ready().await?;
        ensure!(orders.server_version().await? == "17.11");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn change_is_denied_only_for_what_it_makes_wrong() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").create().await?;
        let databases = ns.api::<Postgres>();
        let patch = async |change: Value| {
            databases.patch("orders", &PatchParams::default(), &Patch::Merge(change)).await
        };
        let size = |size: &str| json!({"spec": {"storage": {"resources": {"requests": {"storage": size}}}}});
        for (change, part) in [
            (size("512Mi"), "cannot shrink"),
            (size("2GiB"), "write \"2Gi\""),
            (json!({"spec": {"storage": null}}), "requires a size"),
            (json!({"spec": {"storage": {"accessModes": ["Twice"]}}}), "Twice"),
            (json!({"spec": {"replicas": 2}}), "spec.replicas"),
        ] {
            let message = patch(change).await.err().with_context(|| format!("{part}: admitted"))?.to_string();
            ensure!(message.contains(part), "the denial should contain {part:?}: {message}");
        }
        patch(json!({"metadata": {"labels": {"team": "billing"}, "annotations": {"note": "kept"}}})).await?;
        patch(json!({"metadata": {"annotations": {names::ANNOTATION_OVERRIDE: "true"}}})).await?;
        patch(size("512Mi")).await?;
        patch(size("1Gi")).await?;
        orders.wait_ready().await?;
        Ok(())
    })
    .await
}
