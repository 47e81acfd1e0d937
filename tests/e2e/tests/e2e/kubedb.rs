//! KubeDB manifests, and a catalog with a bad entry.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use pgops_api::opsrequest::RequestType;
use pgops_api::{PostgresOpsRequest, PostgresVersion, names};
use pgops_e2e::{Cluster, Database, assert_upgraded, with_namespace};
use serde_json::{Value, json};

const V1: &str = include_str!("../../../manifests/kubedb-v1.yaml");
const V1ALPHA2: &str = include_str!("../../../manifests/kubedb-v1alpha2.yaml");
const ENTRY: &str = include_str!("../../../manifests/kubedb-postgresversion.yaml");

#[tokio::test]
async fn kubedb_manifests_apply_unchanged_and_keep_unknown_fields() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        for (manifest, name, version) in [(V1, "as-v1", "13.23"), (V1ALPHA2, "as-v1alpha2", "15.18")] {
            ns.kubectl(&["apply", "-f", "-"], Some(manifest)).await?.succeeded()?;
            let database = Database::new(ns.clone(), name);
            database.wait_ready().await?;
            ensure!(database.server_version().await? == version, "{name} is not {version}");
            let again = ns.kubectl(&["apply", "-f", "-"], Some(manifest)).await?.succeeded()?;
            ensure!(again.stdout.contains("unchanged"), "a second apply changes it: {}", again.stdout);
        }
        let stored = |name: &'static str| async move {
            let json =
                ns.kubectl(&["get", "postgreses.kubedb.com", name, "-o", "json"], None).await?.succeeded()?;
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
        let upgrade = upgrade.field("timeout", json!("5m")).field("apply", json!("IfReady")).create().await?;
        assert_upgraded(&database, &upgrade, &before).await
    })
    .await
}

/// KubeDB's original form, which many repositories contain and apply again and again.
#[tokio::test]
async fn request_in_older_form_upgrades_and_can_be_reapplied() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let older = ns
            .upgrade("older")
            .database("orders")
            .field("type", json!("Upgrade"))
            .field("upgrade", json!({"targetVersion": "13.23"}))
            .without("updateVersion");
        let upgrade = older.clone().create().await?;
        let stored = upgrade.wait_successful().await?;
        ensure!(
            stored.spec.type_ == RequestType::UpdateVersion,
            "the type was not converted: {:?}",
            stored.spec
        );
        ensure!(stored.spec.upgrade.is_none(), "the deprecated field was not converted: {:?}", stored.spec);
        ensure!(stored.target() == Some("13.23"), "the target was lost: {:?}", stored.spec);
        for options in
            [&["apply", "-f", "-"][..], &["apply", "--server-side", "--force-conflicts", "-f", "-"]]
        {
            let manifest = older.manifest().to_string();
            let output = ns.kubectl(options, Some(&manifest)).await?.succeeded()?;
            ensure!(
                output.stderr.contains("is deprecated"),
                "no warning about the deprecated form: {output:?}"
            );
            let again = ns.api::<PostgresOpsRequest>().get("older").await?;
            ensure!(again.spec == stored.spec, "{options:?} changed the spec: {:?}", again.spec);
            ensure!(
                again.metadata.generation == stored.metadata.generation,
                "{options:?} changed the generation"
            );
        }
        ensure!(orders.server_version().await? == "13.23", "the database was not upgraded");
        Ok(())
    })
    .await
}

/// KubeDB's other operators execute these.
#[tokio::test]
async fn request_of_another_type_is_stored_whole_and_left_alone() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").create().await?;
        for (name, type_, field, value) in [
            ("scale", "HorizontalScaling", "horizontalScaling", json!({"replicas": 3})),
            ("tls", "ReconfigureTLS", "tls", json!({"rotateCertificates": true})),
            ("failover", "ForceFailOver", "forceFailOver", json!({"candidates": ["orders-1"]})),
            ("move", "StorageMigration", "migration", json!({"storageClassName": "fast"})),
            ("raft", "SetRaftKeyPair", "setRaftKeyPair", json!({"keyPair": {"a": "b"}})),
        ] {
            let request = ns.upgrade(name).database("orders").without("updateVersion");
            let request = request.field("type", json!(type_)).field(field, value.clone());
            let created = ns.accepts(request.manifest()).await?;
            ensure!(created.stderr.contains(type_), "{type_}: no warning: {}", created.stderr);
            let json = ns.kubectl(&["get", "pgops", name, "-o", "json"], None).await?.succeeded()?;
            let stored: Value = serde_json::from_str(&json.stdout)?;
            ensure!(stored["spec"][field] == value, "{type_} was not stored whole: {stored}");
        }
        // A busy launcher would have touched them by then.
        orders.wait_ready().await?;
        for request in ns.api::<PostgresOpsRequest>().list(&ListParams::default()).await? {
            let name = request.name_any();
            ensure!(request.status.is_none(), "{name} has a status: {:?}", request.status);
            ensure!(request.finalizers().is_empty(), "{name} has finalizers");
            ensure!(ns.jobs_of(&name).await?.is_empty(), "{name} has a Job");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn unmanaged_database_and_its_requests_are_left_alone() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let mut theirs = ns.postgres("theirs").version("99.1").field("replicas", json!(3)).manifest().clone();
        theirs["metadata"]["labels"] = json!({names::LABEL_MANAGED: "false"});
        theirs["spec"]["tls"] = json!({"issuerRef": {"kind": "Issuer", "name": "ca"}});
        let created = ns.accepts(&theirs).await?;
        ensure!(created.stderr.is_empty(), "it is judged: {}", created.stderr);
        let request = ns.upgrade("their-upgrade").database("theirs").to("99.2").create().await?;
        // What pgops would do is done for a database that is created later.
        ns.postgres("ours").version("13.23").ready().await?;
        let stored = Database::new(ns.clone(), "theirs").object().await?;
        ensure!(stored.status.is_none() && stored.finalizers().is_empty(), "it was touched: {stored:?}");
        let workload = ns.api::<StatefulSet>().get_opt("theirs").await?;
        ensure!(workload.is_none(), "it was built");
        let request = ns.api::<PostgresOpsRequest>().get(request.name()).await?;
        ensure!(
            request.status.is_none() && request.finalizers().is_empty(),
            "its request was touched: {request:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubedb_catalog_entry_keeps_unknown_fields() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let run = async |args: &[&str], input| pgops_e2e::kubectl(args, input).await?.succeeded();
    run(&["apply", "-f", "-"], Some(ENTRY)).await?;
    let stored = run(&["get", "postgresversion", "e2e-unread-fields", "-o", "json"], None).await?;
    cluster.catalog().delete("e2e-unread-fields", &DeleteParams::default()).await?;
    let stored: Value = serde_json::from_str(&stored.stdout)?;
    for pointer in ["/spec/exporter/image", "/spec/archiver/walg/image", "/spec/ui/0/name"] {
        ensure!(stored.pointer(pointer).is_some(), "{pointer} was not kept: {stored}");
    }
    Ok(())
}

#[tokio::test]
async fn catalog_entry_with_bad_version_is_warned_about_or_denied() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let catalog = cluster.catalog();
    let name = "e2e-of-no-postgresql";
    let _ = catalog.delete(name, &DeleteParams::default()).await;
    let entry = |version: &str| {
        let spec = json!({"version": version, "db": {"image": "nowhere.invalid/x:1"}});
        serde_json::from_value::<PostgresVersion>(json!({"metadata": {"name": name}, "spec": spec}))
    };
    let denial = catalog.create(&PostParams::default(), &entry("seventeen")?).await;
    let denial = denial.err().context("an unparsable version was admitted")?.to_string();
    ensure!(denial.contains("seventeen"), "the denial does not name the version: {denial}");
    let created = catalog.create(&PostParams::default(), &entry("9.6.24")?).await?;
    // By UID: Events outlive their objects, and an earlier run may have created an Event for this name.
    let uid = created.uid().context("the entry has no uid")?;
    let of_entry = watcher::Config::default().fields(&format!("involvedObject.uid={uid},type=Warning"));
    let events = Api::<Event>::all(cluster.client.clone());
    let found = watcher::watcher(events, of_entry).default_backoff().applied_objects();
    // A watch that breaks begins again.
    let mut warnings = Box::pin(found.filter_map(|event| std::future::ready(event.ok())));
    let warned = tokio::time::timeout(Duration::from_mins(1), warnings.next()).await;
    catalog.delete(name, &DeleteParams::default()).await?;
    let warned = warned.context("the entry has no warning Event")?;
    let message = warned.context("the watch on Events ended")?.message.unwrap_or_default();
    ensure!(message.contains("9.6.24"), "the Event does not name the version: {message}");
    Ok(())
}
