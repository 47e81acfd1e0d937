//! The removal of pgops: its preparation by the chart's hook, in one namespace as if pgops watched no other.
//!
//! The provisioner of the shared installation adds a finalizer again, unless the database is paused.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::ResourceExt;
use kube::api::DeleteParams;
use pgops_api::{Postgres, names};
use pgops_e2e::{Database, Namespace, Release, prepare_removal, with_namespace};

const TIMEOUT: Duration = Duration::from_mins(3);

async fn has_finalizer(database: &Database) -> anyhow::Result<bool> {
    Ok(database.object().await?.finalizers().iter().any(|it| it == names::POSTGRES_FINALIZER))
}

#[tokio::test]
async fn removal_leaves_databases_that_serve_and_can_be_deleted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        let before = orders.fingerprint().await?;
        ensure!(has_finalizer(&orders).await?, "the database has no finalizer to remove");
        orders.pause().await?;
        let (succeeded, log) = prepare_removal(ns, "pgops-e2e-removal").await?;
        ensure!(succeeded, "the removal was refused: {log}");
        ensure!(!has_finalizer(&orders).await?, "the database keeps its finalizer: {log}");
        before.ensure_same(&orders.fingerprint().await?)?;

        // No controller is needed any more. The data stays, whatever the policy says.
        ns.api::<Postgres>().delete("orders", &DeleteParams::default()).await?;
        orders.wait_deleted().await?;
        let claim = ns.api::<PersistentVolumeClaim>().get_opt(&names::claim("orders", 0)).await?;
        ensure!(claim.is_some(), "the volume claim was deleted");
        let secret = ns.api::<Secret>().get_opt(&names::auth_secret("orders")).await?;
        ensure!(secret.is_some(), "the Secret was deleted");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn removal_is_refused_while_a_database_is_being_deleted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        orders.pause().await?;
        ns.api::<Postgres>().delete("orders", &DeleteParams::default()).await?;
        let (succeeded, log) = prepare_removal(ns, "pgops-e2e-refusal").await?;
        ensure!(!succeeded, "the removal was not refused: {log}");
        let expected = format!("Postgres {}/orders is being deleted", ns.name());
        ensure!(log.contains(&expected), "the log does not name the database: {log}");
        ensure!(has_finalizer(&orders).await?, "the finalizer was removed");
        orders.resume().await?;
        orders.wait_deleted().await
    })
    .await
}

/// Kinds of the chart, with and without a namespace.
const KINDS: &str = "deployments,jobs,pods,services,serviceaccounts,secrets,roles,rolebindings,poddisruptionbudgets,\
    networkpolicies,clusterroles,clusterrolebindings,validatingwebhookconfigurations,mutatingwebhookconfigurations,\
    validatingadmissionpolicies,validatingadmissionpolicybindings";

#[tokio::test]
async fn release_is_tested_and_removed_by_helm() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let release = Release::install(ns, "z-pgops-e2e").await?;
        let result = test_and_remove(ns, &release).await;
        release.remove_without_hooks().await?;
        result
    })
    .await
}

/// Pods end some seconds after their owners.
async fn wait_until_removed(release: &Release<'_>) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    loop {
        let left = release.objects(KINDS).await?;
        if left.is_empty() {
            return Ok(());
        }
        ensure!(tokio::time::Instant::now() < deadline, "helm has left: {left}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn test_and_remove(ns: &Namespace, release: &Release<'_>) -> anyhow::Result<()> {
    release.test().await?;
    let orders = ns.postgres("orders").version("17.11").ready().await?;
    orders.pause().await?;
    release.uninstall().await?;
    wait_until_removed(release).await?;
    ensure!(!has_finalizer(&orders).await?, "the database keeps its finalizer");
    ensure!(orders.server_version().await? == "17.11", "the database does not serve");
    orders.resume().await
}
