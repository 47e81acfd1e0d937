//! A database in a namespace with everything at once that clusters put around namespaces: quotas, limits, Pod Security, network
//! policies (`docs/how-to/hardened-namespace.md`), rewritten images, and a container in each worker's pod.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use pgops_api::{Condition, Postgres, condition, names};
use pgops_e2e::fault_injection::Node;
use pgops_e2e::golden::{Document, Part};
use pgops_e2e::image_rewriting::{ImageRewriting, MIRROR, Rewritten};
use pgops_e2e::injected_container::{AtSigterm, InjectedContainer, ensure_injected};
use pgops_e2e::{Database, Fingerprint, Namespace, wait_for, with_namespace};
use serde_json::json;

const DOCUMENT: &str = include_str!("../../../../docs/how-to/hardened-namespace.md");
const TIMEOUT: Duration = Duration::from_mins(2);
/// Another client's change of the Postgres is applied in this time, with what the provisioner makes of it.
const RECONCILED: Duration = Duration::from_secs(10);

#[tokio::test]
async fn database_lives_in_a_hardened_namespace() -> anyhow::Result<()> {
    let node = Node::local()?;
    with_namespace(async |ns| {
        let tags = ["13.16", "13.23", "17.11"];
        let rewriting = ImageRewriting::create(&node, ns, &tags, Rewritten::PodsAndStatefulSets).await?;
        let result = with_injected_container(ns).await;
        rewriting.delete(ns).await?;
        result
    })
    .await
}

async fn with_injected_container(ns: &Namespace) -> anyhow::Result<()> {
    let policy = InjectedContainer::create(ns, AtSigterm::Ends).await?;
    let result = live(ns).await;
    policy.delete().await?;
    result
}

async fn live(ns: &Namespace) -> anyhow::Result<()> {
    let orders = create(ns).await?;
    orders.sql("postgres", "CREATE TABLE kept AS SELECT g FROM generate_series(1, 5000) g").await?;
    ensure_settled(ns, &orders, "13.16").await?;
    let before = orders.fingerprint().await?;

    let minor = ns.upgrade("minor").database("orders").to("13.23").create().await?;
    // At its end the pods may have ended too.
    ensure_injected(&minor.wait_runner_pods().await?)?;
    minor.wait_successful().await?;
    before.ensure_same(&orders.fingerprint().await?)?;
    ensure_settled(ns, &orders, "13.23").await?;

    fail(ns, &orders, &before).await?;
    ensure_settled(ns, &orders, "13.23").await?;

    let major = ns.upgrade("major").database("orders").to("17.11").create().await?;
    major.wait_successful().await?;
    before.ensure_same(&orders.fingerprint().await?)?;
    ensure_settled(ns, &orders, "17.11").await?;
    ensure_not_fought_over(ns).await?;
    delete(ns, &orders).await
}

/// Applies the files of the document, the last of which is a database of 13.16.
async fn create(ns: &Namespace) -> anyhow::Result<Database> {
    let document = Document::parse(DOCUMENT);
    for part in document.parts() {
        let Part::File { name, content } = part else { continue };
        ns.kubectl(&["apply", "-f", "-"], Some(content)).await?.succeeded().with_context(|| name.clone())?;
        if name == "quota.yaml" {
            ns.wait_quota("databases").await?;
        }
    }
    let orders = Database::new(ns.clone(), "orders");
    orders.wait_ready().await?;
    Ok(orders)
}

/// `pg_upgrade` cannot read a table, long after the stop of the old server.
async fn fail(ns: &Namespace, orders: &Database, before: &Fingerprint) -> anyhow::Result<()> {
    // Nothing is left to write, so the old server does not open the file again.
    orders.sql("postgres", "VACUUM FREEZE kept").await?;
    orders.sql("postgres", "CHECKPOINT").await?;
    let mode = |bits: &str| {
        format!(
            "DO $do$ BEGIN EXECUTE format('COPY (SELECT WHERE false) TO PROGRAM %L',
                'chmod {bits} ' || pg_relation_filepath('kept')); END $do$"
        )
    };
    orders.sql("postgres", &mode("000")).await?;
    let upgrade = ns.upgrade("failing").database("orders").to("17.11").field("maxRetries", json!(0));
    let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, "copy").create().await?;
    let (reason, message) = upgrade.wait_failed().await?;
    ensure!(message.contains("serves 13.23 again"), "{reason}: {message}");
    orders.wait_ready().await?;
    orders.sql("postgres", &mode("600")).await?;
    before.ensure_same(&orders.fingerprint().await?)
}

/// The provisioner has applied the catalog's image, which is stored as the mirror's: nothing differs, and nothing waits for a
/// restart.
async fn ensure_settled(ns: &Namespace, orders: &Database, version: &str) -> anyhow::Result<()> {
    let of_catalog = ns.cluster().catalog_entry(version).await?.spec.db.image;
    let is_applied = |found: Option<&StatefulSet>| {
        found.is_some_and(|it| it.annotations().get(names::ANNOTATION_IMAGE) == Some(&of_catalog))
    };
    wait_for(&ns.api::<StatefulSet>(), "orders", "the catalog's image", TIMEOUT, is_applied).await?;
    ensure!(
        server_image(ns).await?.starts_with(MIRROR),
        "the image was not rewritten: the test proves nothing"
    );
    let has_no_difference = |found: Option<&Postgres>| {
        found.is_some_and(|orders| {
            let is_set = |type_| condition::find(orders.conditions(), type_).is_some_and(Condition::is_true);
            !is_set("ImageDiffersFromCatalog") && !is_set("RestartPending") && orders.paused().is_none()
        })
    };
    wait_for(&ns.api(), "orders", "a status without differences", TIMEOUT, has_no_difference).await?;
    ensure!(orders.server_version().await? == version, "the server is {}", orders.server_version().await?);
    Ok(())
}

async fn server_image(ns: &Namespace) -> anyhow::Result<String> {
    let workload = ns.api::<StatefulSet>().get("orders").await?;
    let pod = workload.spec.and_then(|spec| spec.template.spec).context("the StatefulSet has no pod")?;
    let server = pod.containers.into_iter().find(|it| it.name == names::CONTAINER_POSTGRES);
    server.and_then(|server| server.image).context("the StatefulSet has no server")
}

/// When the provisioner applies the workload again, nothing of it changes.
async fn ensure_not_fought_over(ns: &Namespace) -> anyhow::Result<()> {
    let state = async || {
        let workload = ns.api::<StatefulSet>().get("orders").await?;
        let pod = ns.api::<Pod>().get("orders-0").await?;
        anyhow::Ok((workload.metadata.generation, pod.uid()))
    };
    let before = state().await?;
    let touched = Patch::Merge(json!({ "metadata": { "labels": { "e2e": "touched" } } }));
    ns.api::<Postgres>().patch("orders", &PatchParams::default(), &touched).await?;
    tokio::time::sleep(RECONCILED).await;
    ensure!(state().await? == before, "the workload was changed, or its pod replaced");
    Ok(())
}

async fn delete(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    ns.kubectl(&["delete", "pgops", "--all"], None).await?.succeeded()?;
    let policy = Patch::Merge(json!({ "spec": { "deletionPolicy": "WipeOut" } }));
    ns.api::<Postgres>().patch("orders", &PatchParams::default(), &policy).await?;
    ns.api::<Postgres>().delete("orders", &DeleteParams::default()).await?;
    orders.wait_deleted().await?;
    let is_deleted = |found: Option<&PersistentVolumeClaim>| found.is_none();
    wait_for(&ns.api(), &names::claim("orders", 0), "the deletion", TIMEOUT, is_deleted).await.map(drop)
}
