//! Databases without upgrades: recovery after the loss of a pod, and deletion policies.

use anyhow::ensure;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use pgops_api::postgres::PostgresPhase;
use pgops_api::{Postgres, names};
use pgops_e2e::{Database, Namespace, wait_for, with_namespace};
use serde_json::json;

const TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);

async fn database(ns: &Namespace, name: &str, policy: &str) -> anyhow::Result<Database> {
    let database = ns.postgres(name).version("17.11").field("deletionPolicy", json!(policy)).ready().await?;
    database
        .sql(
            "postgres",
            "CREATE TABLE IF NOT EXISTS kept (id int); INSERT INTO kept SELECT generate_series(1, 100)",
        )
        .await?;
    Ok(database)
}

async fn delete(database: &Database) -> anyhow::Result<()> {
    database.namespace().api::<Postgres>().delete(database.name(), &DeleteParams::default()).await?;
    database.wait_deleted().await
}

#[tokio::test]
async fn deleted_pod_returns_with_its_data_and_phase_is_updated() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = database(ns, "orders", "WipeOut").await?;
        let before = orders.fingerprint().await?;
        let down = orders.wait_phase(PostgresPhase::NotReady);
        let kill = async {
            ns.api::<Pod>().delete(&names::pod("orders", 0), &DeleteParams::default()).await?;
            anyhow::Ok(())
        };
        let (down, killed) = tokio::join!(down, kill);
        killed?;
        down?;
        orders.wait_ready().await?;
        before.ensure_same(&orders.fingerprint().await?)
    })
    .await
}

#[tokio::test]
async fn deletion_policies_keep_or_delete_data() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        wipe_out_removes_everything(ns).await?;
        halt_keeps_data_for_next_database_of_that_name(ns).await?;
        do_not_terminate_denies_deletion(ns).await
    })
    .await
}

async fn wipe_out_removes_everything(ns: &Namespace) -> anyhow::Result<()> {
    let wiped = database(ns, "wiped", "WipeOut").await?;
    delete(&wiped).await?;
    let claims: Api<PersistentVolumeClaim> = ns.api();
    wait_for(&claims, &names::claim("wiped", 0), "the deletion of the claim", TIMEOUT, |claim| {
        claim.is_none()
    })
    .await?;
    wait_secret_deleted(ns, "wiped").await
}

async fn wait_secret_deleted(ns: &Namespace, database: &str) -> anyhow::Result<()> {
    let (secrets, name): (Api<Secret>, _) = (ns.api(), names::auth_secret(database));
    wait_for(&secrets, &name, "the deletion of the Secret", TIMEOUT, |secret| secret.is_none()).await?;
    Ok(())
}

async fn halt_keeps_data_for_next_database_of_that_name(ns: &Namespace) -> anyhow::Result<()> {
    let halted = database(ns, "halted", "Halt").await?;
    let before = halted.fingerprint().await?;
    delete(&halted).await?;
    let pods: Api<Pod> = ns.api();
    wait_for(&pods, &names::pod("halted", 0), "the deletion of the pod", TIMEOUT, |pod| pod.is_none())
        .await?;
    ensure!(
        ns.api::<PersistentVolumeClaim>().get_opt(&names::claim("halted", 0)).await?.is_some(),
        "the volume claim was deleted"
    );
    ensure!(
        ns.api::<Secret>().get_opt(&names::auth_secret("halted")).await?.is_some(),
        "the Secret was deleted"
    );
    let again = ns.postgres("halted").version("17.11").ready().await?;
    before.ensure_same(&again.fingerprint().await?)?;
    // The Secret was created for the data, so it is deleted with it.
    let patch = Patch::Merge(json!({"spec": {"deletionPolicy": "WipeOut"}}));
    ns.api::<Postgres>().patch("halted", &PatchParams::default(), &patch).await?;
    delete(&again).await?;
    wait_secret_deleted(ns, "halted").await
}

async fn do_not_terminate_denies_deletion(ns: &Namespace) -> anyhow::Result<()> {
    let kept = database(ns, "kept", "DoNotTerminate").await?;
    let output = ns.kubectl(&["delete", "postgreses.kubedb.com", "kept", "--wait=false"], None).await?;
    ensure!(!output.success, "kubectl deleted the database: {}", output.stdout);
    for word in ["DoNotTerminate", "kept"] {
        ensure!(output.stderr.contains(word), "the denial does not name {word}: {}", output.stderr);
    }
    ensure!(kept.object().await?.metadata.deletion_timestamp.is_none(), "the database is being deleted");
    // So that the namespace can be deleted.
    let patch = Patch::Merge(json!({"spec": {"deletionPolicy": "WipeOut"}}));
    ns.api::<Postgres>().patch("kept", &PatchParams::default(), &patch).await?;
    delete(&kept).await
}
