//! The Secret with the superuser's password, when it is deleted or changed without the server.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use pgops_api::{Postgres, condition, names};
use pgops_e2e::{Database, Namespace, wait_for, with_namespace};
use serde_json::json;

/// The kubelet replaces a mounted Secret within about two minutes, and the provisioner asks each minute.
const TIMEOUT: Duration = Duration::from_mins(6);

async fn wait_condition(ns: &Namespace, type_: &str, exists: bool) -> anyhow::Result<String> {
    let find = |found: Option<&Postgres>| {
        let found = found.and_then(|it| condition::find(it.conditions(), type_));
        found.map(|found| found.message.clone().unwrap_or_default())
    };
    let what = format!("{type_}: {exists}");
    let found =
        wait_for(&ns.api(), "orders", &what, TIMEOUT, |found| find(found).is_some() == exists).await?;
    Ok(find(found.as_ref()).unwrap_or_default())
}

async fn secret(ns: &Namespace) -> anyhow::Result<Secret> {
    Ok(ns.api::<Secret>().get(&names::auth_secret("orders")).await?)
}

async fn delete_secret(ns: &Namespace) -> anyhow::Result<Secret> {
    let secret = secret(ns).await?;
    ns.api::<Secret>().delete(&secret.name_any(), &DeleteParams::default()).await?;
    Ok(secret)
}

async fn database(ns: &Namespace) -> anyhow::Result<Database> {
    ns.postgres("orders").version("17.11").ready().await
}

#[tokio::test]
async fn deleted_secret_is_told_and_the_database_returns_with_it() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = database(ns).await?;
        let deleted = delete_secret(ns).await?;
        let message = wait_condition(ns, "AuthSecretMissing", true).await?;
        ensure!(message.contains("Secret orders-auth"), "{message}");
        ensure!(
            ns.api::<Secret>().get_opt("orders-auth").await?.is_none(),
            "it was made again with another password"
        );

        ns.api::<Pod>().delete(&names::pod("orders", 0), &DeleteParams::default()).await?;
        let waits = |found: Option<&Postgres>| {
            let ready = found.and_then(|it| condition::find(it.conditions(), "Ready"));
            ready.is_some_and(|it| it.reason.as_deref() == Some("VolumeNotMounted"))
        };
        wait_for(&ns.api(), "orders", "the reason VolumeNotMounted", TIMEOUT, waits).await?;

        let again = Secret {
            metadata: kube::api::ObjectMeta {
                name: deleted.metadata.name,
                labels: deleted.metadata.labels,
                ..kube::api::ObjectMeta::default()
            },
            data: deleted.data,
            type_: deleted.type_,
            ..Secret::default()
        };
        ns.api::<Secret>().create(&PostParams::default(), &again).await?;
        orders.wait_ready().await?;
        wait_condition(ns, "AuthSecretMissing", false).await?;
        orders.server_version().await.map(drop)
    })
    .await
}

#[tokio::test]
async fn database_without_its_secret_is_deleted() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = database(ns).await?;
        delete_secret(ns).await?;
        ns.api::<Postgres>().delete("orders", &DeleteParams::default()).await?;
        orders.wait_deleted().await
    })
    .await
}

#[tokio::test]
async fn changed_password_of_the_secret_is_told_until_the_server_has_it() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = database(ns).await?;
        // Before the Secret is changed: it is what the test connects with.
        let password =
            secret(ns).await?.data.context("no data")?.remove("password").context("no password")?;
        let change = |password: &str| Patch::Merge(json!({"stringData": {"password": password}}));
        let secrets = ns.api::<Secret>();
        secrets.patch("orders-auth", &PatchParams::default(), &change("another")).await?;
        let message = wait_condition(ns, "PasswordMismatch", true).await?;
        ensure!(message.contains("Secret orders-auth") && !message.contains("another"), "{message}");
        let degraded = wait_condition(ns, "Degraded", true).await?;
        ensure!(degraded.contains("PasswordMismatch"), "{degraded}");

        let password = String::from_utf8(password.0)?;
        secrets.patch("orders-auth", &PatchParams::default(), &change(&password)).await?;
        wait_condition(ns, "PasswordMismatch", false).await?;
        orders.server_version().await.map(drop)
    })
    .await
}

#[tokio::test]
async fn secret_and_claim_are_not_pruned_by_argo_cd() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        database(ns).await?;
        let claim = names::claim("orders", 0);
        for object in ["secret/orders-auth", &format!("pvc/{claim}")] {
            let output = ns.kubectl(&["get", object, "-o", "jsonpath={.metadata.annotations}"], None).await?;
            let annotations = output.succeeded()?.stdout;
            ensure!(annotations.contains("Prune=false"), "{object}: {annotations}");
        }
        Ok(())
    })
    .await
}
