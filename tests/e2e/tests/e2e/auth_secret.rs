//! The Secret with the superuser's password: when it is deleted or changed without the server, and when it is a user's own.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use pgops_api::{Postgres, condition, names};
use pgops_e2e::{Database, Namespace, assert_upgraded, wait_for, with_namespace};
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
#[ignore = "in make test-all only: its kind has another test"]
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

/// Waits until the condition of a database has a message with this part.
async fn wait_message(ns: &Namespace, database: &str, type_: &str, part: &str) -> anyhow::Result<()> {
    let is_told = |found: Option<&Postgres>| {
        let found = found.and_then(|it| condition::find(it.conditions(), type_));
        found.and_then(|it| it.message.as_deref()).is_some_and(|message| message.contains(part))
    };
    wait_for(&ns.api(), database, &format!("{type_}: {part}"), TIMEOUT, is_told).await.map(drop)
}

/// Writes name and password of a superuser into a Secret.
async fn write_user(ns: &Namespace, secret: &str, username: &str, password: &str) -> anyhow::Result<()> {
    let keys = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret},
        "stringData": {"username": username, "password": password},
    });
    ns.accepts(&keys).await.map(drop)
}

/// The superuser of such a database may have any name, and keeps it.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn secret_of_the_user_is_waited_for_and_its_superuser_is_kept_by_an_upgrade() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("keyless", "token", "x").await?;
        write_user(ns, "empty", "postgres", "").await?;
        for (database, secret) in [("absent", "nosuch"), ("blank", "empty"), ("orders", "keyless")] {
            // As KubeDB writes it.
            let named = json!({"kind": "Secret", "name": secret, "activeFrom": "2026-11-30T10:00:00Z"});
            let created = ns.postgres(database).version("13.16").field("authSecret", named);
            let created = ns.accepts(created.manifest()).await?;
            ensure!(!created.stderr.contains("authSecret"), "{}", created.stderr);
        }
        wait_message(ns, "absent", "AuthSecretMissing", "Secret nosuch with the superuser's password")
            .await?;
        wait_message(ns, "blank", "Ready", "\"password\" of the database's auth secret must be one line")
            .await?;
        wait_message(ns, "orders", "Ready", "non-existent secret key").await?;

        write_user(ns, "keyless", "owner", "s3cret").await?;
        let orders = Database::new(ns.clone(), "orders");
        orders.wait_ready().await?;
        ensure!(orders.value("SELECT current_user").await? == "owner");
        is_not_rotated(ns).await?;

        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure!(orders.value("SELECT current_user").await? == "owner");
        let keys = ns.api::<Secret>().get("keyless").await?.data.unwrap_or_default();
        let keys: Vec<_> = keys.into_keys().collect();
        ensure!(keys == ["password", "token", "username"], "the keys are {keys:?}");
        Ok(())
    })
    .await
}

/// Neither is a Secret of the user changed, nor is one read.
async fn is_not_rotated(ns: &Namespace) -> anyhow::Result<()> {
    let rotation = ns.upgrade("rotate").database("orders").without("updateVersion");
    let rotation = rotation.field("type", json!("RotateAuth"));
    rotation.clone().rejected_with(&["Secret keyless", "pgops never changes"]).await?;
    // Whatever is in them.
    for secret in ["nosuch", "empty", "keyless"] {
        let by = rotation.clone().field("authentication", json!({"secretRef": {"name": secret}}));
        by.rejected_with(&["spec.authentication.secretRef", secret, "is not supported"]).await?;
    }
    Ok(())
}
