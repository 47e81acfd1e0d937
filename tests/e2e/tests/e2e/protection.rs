//! What protects the data from the cluster's side: a catalog that changes, and deletions of what holds it.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use pgops_api::{Postgres, PostgresVersion, condition, names};
use pgops_e2e::{
    Cluster, DataSet, Namespace, assert_untouched, assert_upgraded, eventually, wait_for, with_namespace,
};
use serde_json::json;

const TIMEOUT: Duration = Duration::from_mins(1);

/// The image of the database's pod.
async fn pod_image(ns: &Namespace) -> anyhow::Result<String> {
    let pod = ns.api::<Pod>().get(&names::pod("orders", 0)).await?;
    let containers = pod.spec.map(|spec| spec.containers).unwrap_or_default();
    let server = containers.into_iter().find(|container| container.name == names::CONTAINER_POSTGRES);
    server.and_then(|container| container.image).context("the pod has no server")
}

async fn wait_for_image_condition(ns: &Namespace, exists: bool) -> anyhow::Result<()> {
    let matches = |found: Option<&Postgres>| {
        found
            .is_some_and(|it| condition::find(it.conditions(), "ImageDiffersFromCatalog").is_some() == exists)
    };
    let what = format!("condition ImageDiffersFromCatalog: {exists}");
    wait_for(&ns.api(), "orders", &what, TIMEOUT, matches).await.map(drop)
}

/// Runs a test with a catalog entry of its own, whose image is `first`; `second` is another image of the same version.
async fn with_two_images(
    name: &str,
    test: impl AsyncFnOnce(&Cluster, &Namespace, [&str; 2]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let [first, second] =
        ["15.18", "15.18-uid1999"].map(|tag| format!("{}/postgres:{tag}", cluster.registry));
    let spec = json!({"version": "15.18", "db": {"image": first, "baseOS": "debian"}});
    cluster
        .with_catalog_entry(name, spec, async || {
            cluster.with_namespace(async |ns| test(&cluster, ns, [&first, &second]).await).await
        })
        .await
}

/// Gives a catalog entry another image.
async fn change_image(cluster: &Cluster, name: &str, image: &str) -> kube::Result<PostgresVersion> {
    let change = Patch::Merge(json!({"spec": {"db": {"image": image}}}));
    cluster.catalog().patch(name, &PatchParams::default(), &change).await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn changed_catalog_entry_reaches_databases_only_on_request() -> anyhow::Result<()> {
    let name = "e2e-changed";
    with_two_images(name, async |cluster, ns, [first, second]| {
        let orders = ns.postgres("orders").version(name).filled_with(&[DataSet::Kept]).await?;
        let before = orders.fingerprint().await?;
        let denial = change_image(cluster, name, second).await.err();
        let denial = denial.context("a used entry was changed")?.to_string();
        for part in [&format!("Postgres {}/orders", ns.name()), names::ANNOTATION_OVERRIDE] {
            ensure!(denial.contains(part), "the denial does not name {part}: {denial}");
        }
        override_guards_of_entry(cluster, name).await?;
        change_image(cluster, name, second).await?;

        wait_for_image_condition(ns, true).await?;
        orders.replace_pod().await?;
        ensure!(pod_image(ns).await? == first, "a restart changed the image");

        let upgrade = ns.upgrade("same").database("orders").to(name).create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        wait_for_image_condition(ns, false).await?;
        orders.replace_pod().await?;
        ensure!(pod_image(ns).await? == second, "a restart changed the image back");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn annotated_database_gets_the_image_of_a_changed_entry() -> anyhow::Result<()> {
    let name = "e2e-changed-annotated";
    with_two_images(name, async |cluster, ns, [first, second]| {
        let orders = ns.postgres("orders").version(name).ready().await?;
        override_guards_of_entry(cluster, name).await?;
        change_image(cluster, name, second).await?;
        wait_for_image_condition(ns, true).await?;
        let annotation = format!("{}=true", names::ANNOTATION_OVERRIDE);
        ns.kubectl(&["annotate", "pg", "orders", &annotation], None).await?.succeeded()?;
        wait_for_image_condition(ns, false).await?;
        ensure!(pod_image(ns).await? == first, "the annotation alone has replaced the pod");
        orders.replace_pod().await?;
        ensure!(pod_image(ns).await? == second, "a restart did not roll out the catalog's image");
        Ok(())
    })
    .await
}

async fn override_guards_of_entry(cluster: &Cluster, name: &str) -> anyhow::Result<PostgresVersion> {
    let annotations = json!({"metadata": {"annotations": {names::ANNOTATION_OVERRIDE: "true"}}});
    Ok(cluster.catalog().patch(name, &PatchParams::default(), &Patch::Merge(annotations)).await?)
}

#[tokio::test]
async fn retention_policy_is_repaired() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.postgres("orders").version("17.11").ready().await?;
        let policy = |workload: &StatefulSet| {
            workload.spec.as_ref().and_then(|spec| spec.persistent_volume_claim_retention_policy.clone())
        };
        let is_retained = |found: Option<&StatefulSet>| {
            let policy = found.and_then(policy);
            policy.is_some_and(|it| it.when_scaled.as_deref() == Some("Retain"))
        };
        wait_for(&ns.api(), "orders", "the policy Retain", TIMEOUT, is_retained).await?;
        let change = r#"{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete"}}}"#;
        ns.kubectl(&["patch", "statefulset", "orders", "--type=merge", "-p", change], None)
            .await?
            .succeeded()?;
        wait_for(&ns.api(), "orders", "the policy Retain again", TIMEOUT, is_retained).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn claim_that_is_being_deleted_denies_an_upgrade_and_a_restart() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let before = orders.fingerprint().await?;
        let claim = names::claim("orders", 0);
        for target in [&["pvc", claim.as_str()][..], &["pvc", "--all"]] {
            let delete = [&["delete", "--wait=false"], target].concat();
            let output = ns.kubectl(&delete, None).await?;
            ensure!(!output.success, "the claim was deleted: {}", output.stdout);
            ensure!(output.stderr.contains("holds the data of Postgres"), "{}", output.stderr);
        }
        let annotation = format!("{}=true", names::ANNOTATION_OVERRIDE);
        ns.kubectl(&["annotate", "pvc", &claim, &annotation], None).await?.succeeded()?;
        ns.kubectl(&["delete", "--wait=false", "pvc", &claim], None).await?.succeeded()?;
        for target in ["13.23", "17.11"] {
            let request =
                ns.upgrade(&format!("orders-{target}")).database("orders").to(target).create().await?;
            let (reason, message) = request.wait_denied().await?;
            ensure!(reason == "VolumeAtRisk" && message.contains(&claim), "{reason}: {message}");
        }
        let told = |found: Option<&Postgres>| {
            let risk = found.and_then(|it| condition::find(it.conditions(), "VolumeAtRisk"));
            risk.is_some_and(|risk| {
                risk.is_true() && risk.message.as_ref().is_some_and(|it| it.contains(&claim))
            })
        };
        wait_for(&ns.api(), "orders", "condition VolumeAtRisk", TIMEOUT, told).await?;
        let restart = ns.upgrade("restart").database("orders").without("updateVersion");
        let restart = restart.field("type", json!("Restart")).create().await?;
        let (reason, message) = restart.wait_failed().await?;
        ensure!(reason == "VolumeAtRisk" && message.contains(&claim), "{reason}: {message}");
        let halt = async |halted: bool| {
            let patch = Patch::Merge(json!({"spec": {"halted": halted}}));
            ns.api::<Postgres>().patch("orders", &PatchParams::default(), &patch).await
        };
        halt(true).await?;
        let is_held = |found: Option<&Postgres>| {
            let started = found.and_then(|it| condition::find(it.conditions(), "ProvisioningStarted"));
            started.is_some_and(|it| !it.is_true() && it.reason.as_deref() == Some("VolumeAtRisk"))
        };
        wait_for(&ns.api(), "orders", "that it is not halted", TIMEOUT, is_held).await?;
        halt(false).await?;
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

#[tokio::test]
async fn namespace_with_a_protected_database_is_not_deleted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let kept = ns.postgres("kept").version("17.11").field("deletionPolicy", json!("DoNotTerminate"));
        let kept = kept.create().await?;
        let delete = ["delete", "namespace", ns.name(), "--wait=false"];
        // By dry runs until admission knows the new database.
        eventually("a denial", TIMEOUT, async || {
            let asked = ns.kubectl(&[&delete[..], &["--dry-run=server"]].concat(), None).await?;
            ensure!(!asked.success, "the namespace would be deleted: {}", asked.stdout);
            Ok(())
        })
        .await?;
        let output = ns.kubectl(&delete, None).await?;
        ensure!(!output.success, "the namespace was deleted: {}", output.stdout);
        for part in ["DoNotTerminate", "Postgres kept", "kubectl patch pg kept"] {
            ensure!(output.stderr.contains(part), "the denial does not contain {part}: {}", output.stderr);
        }
        ensure!(kept.object().await?.metadata.deletion_timestamp.is_none(), "the database is being deleted");
        // So that the namespace can be deleted.
        let policy = Patch::Merge(json!({"spec": {"deletionPolicy": "WipeOut"}}));
        ns.api::<Postgres>().patch("kept", &PatchParams::default(), &policy).await?;
        // Its end comes after the webhook has seen the policy, which the namespace's deletion is judged by.
        ns.api::<Postgres>().delete("kept", &DeleteParams::default()).await?;
        kept.wait_deleted().await
    })
    .await
}
