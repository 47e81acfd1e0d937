//! A Secret with settings that the spec newly names: the database gets it when the server's program has accepted it.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Patch, PatchParams};
use pgops_api::{Postgres, condition, names};
use pgops_e2e::{Namespace, wait_for, with_namespace};
use serde_json::json;

use super::{TIMEOUT, pod, request, succeeds};

/// Waits until `SettingsRejected` has this reason, or is absent; returns its message.
async fn wait_check(ns: &Namespace, reason: Option<&str>) -> anyhow::Result<String> {
    let find = |database: &Postgres| condition::find(database.conditions(), "SettingsRejected").cloned();
    let is_so = |found: Option<&Postgres>| {
        found.is_some_and(|it| find(it).and_then(|found| found.reason).as_deref() == reason)
    };
    let what = format!("SettingsRejected {reason:?}");
    let found = wait_for(&ns.api(), "orders", &what, 2 * TIMEOUT, is_so).await?;
    Ok(found.and_then(|it| find(&it)?.message).unwrap_or_default())
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn secret_with_bad_settings_is_not_mounted_until_it_is_corrected() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        let before = pod(ns).await?;
        let databases = ns.api::<Postgres>();
        let name = Patch::Merge(json!({"spec": {"configSecret": {"name": "settings"}}}));
        databases.patch("orders", &PatchParams::default(), &name).await?;
        let message = wait_check(ns, Some("SettingsNotChecked")).await?;
        ensure!(message.contains("\"settings\" not found"), "the kubelet's words are missing: {message}");

        ns.secret("settings", names::USER_CONF, "work_mem = lots\nmax_connections = 37\n").await?;
        let message = wait_check(ns, Some("SecretRejected")).await?;
        ensure!(
            message.contains("Secret settings: invalid value for parameter \"work_mem\": \"…\""),
            "{message}"
        );
        // Whatever replaces the pod now, the next one serves.
        let restart = request(ns, "restart", "Restart").create().await?;
        succeeds(ns, restart).await?;
        ensure!(pod(ns).await? != before, "the pod was not replaced");
        ensure!(orders.value("SHOW max_connections").await? == "100");

        let settings = Patch::Merge(json!({"stringData": {"user.conf": "max_connections = 37\n"}}));
        ns.api::<Secret>().patch("settings", &PatchParams::default(), &settings).await?;
        wait_check(ns, None).await?;
        let is_pending = |found: Option<&Postgres>| {
            let pending = found.and_then(|it| condition::find(it.conditions(), "RestartPending"));
            let message = pending.and_then(|it| it.message.as_deref());
            message.is_some_and(|message| message.contains("configSecret"))
        };
        wait_for(&ns.api(), "orders", "a pending restart", TIMEOUT, is_pending).await?;
        ensure!(orders.value("SHOW max_connections").await? == "100", "it was restarted by itself");
        let restart = request(ns, "again", "Restart").create().await?;
        succeeds(ns, restart).await?;
        ensure!(orders.value("SHOW max_connections").await? == "37");
        let is_deleted = |found: Option<&Pod>| found.is_none();
        let check = names::settings_check("orders");
        wait_for(&ns.api(), &check, "the deletion of the pod that checks", TIMEOUT, is_deleted)
            .await
            .context("it is left")
            .map(drop)
    })
    .await
}
