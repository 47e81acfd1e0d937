//! Settings in a Secret of the user, which a request names and another removes; and a request that is cancelled while its pod
//! waits.

use anyhow::ensure;
use pgops_api::opsrequest::{CONDITION_SUCCESSFUL, CONDITION_WAITING};
use pgops_api::pod_template::resources;
use pgops_api::{Postgres, PostgresOpsRequest, condition, names};
use pgops_e2e::{Database, Namespace, wait_for, with_namespace};
use serde_json::{Value, json};

use super::{TIMEOUT, is_done, outage, pod, request, succeeds};

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn settings_of_a_secret_are_made_and_removed_and_a_cancelled_change_is_put_back() -> anyhow::Result<()>
{
    with_namespace(async |ns| {
        ns.secret("settings", "user.conf", "work_mem = '7MB'\n").await?;
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        makes(ns, &orders).await?;
        removes(ns, &orders).await?;
        cancels(ns, &orders).await
    })
    .await
}

async fn reconfigure(ns: &Namespace, name: &str, change: Value) -> anyhow::Result<PostgresOpsRequest> {
    let reconfigure = request(ns, name, "Reconfigure").field("configuration", change).create().await?;
    succeeds(ns, reconfigure).await
}

async fn makes(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = pod(ns).await?;
    let change = json!({"configSecret": {"name": "settings"}, "restart": "true"});
    let done = reconfigure(ns, "make", change).await?;
    ensure!(is_done(&done, "Restart") && outage(&done).is_some(), "{:?}", done.status);
    ensure!(pod(ns).await? != before, "the pod was not replaced");
    let secret = orders.object().await?.spec.config_secret;
    ensure!(secret.as_ref().is_some_and(|secret| secret.name == "settings"), "{secret:?}");
    ensure!(orders.value("SHOW work_mem").await? == "7MB");
    Ok(())
}

/// Not by this request: the server keeps the settings until it is restarted.
async fn removes(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = pod(ns).await?;
    let done = reconfigure(ns, "remove", json!({"removeCustomConfig": true, "restart": "false"})).await?;
    ensure!(outage(&done).is_none() && pod(ns).await? == before, "the pod was replaced: {:?}", done.status);
    let end = condition::find(done.conditions(), CONDITION_SUCCESSFUL).and_then(|it| it.message.as_deref());
    ensure!(end.is_some_and(|end| end.contains("take effect when it is restarted")), "{end:?}");
    ensure!(orders.object().await?.spec.config_secret.is_none(), "the Secret is still named");
    let waits = |found: Option<&Postgres>| {
        let pending = found.and_then(|it| condition::find(it.conditions(), "RestartPending"));
        pending.and_then(|it| it.message.as_deref()).is_some_and(|message| message.contains("configSecret"))
    };
    wait_for(&ns.api(), "orders", "a pending restart", TIMEOUT, waits).await?;
    ensure!(orders.value("SHOW work_mem").await? == "7MB");
    Ok(())
}

/// The pod with the previous resources is another one, so it has the other pending changes too.
async fn cancels(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = orders.object().await?.spec.pod_template;
    let greedy = json!({"postgres": {"resources": {"requests": {"memory": "900Gi"}}}});
    let scaling = request(ns, "greedy", "VerticalScaling").field("verticalScaling", greedy).create().await?;
    let waits = |found: Option<&PostgresOpsRequest>| {
        let waiting = found.and_then(|it| condition::find(it.conditions(), CONDITION_WAITING));
        waiting.is_some_and(|it| it.reason.as_deref() == Some("PodUnschedulable"))
    };
    wait_for(&ns.api(), "greedy", "a pod without a node", TIMEOUT, waits).await?;
    let annotation = format!("{}=true", names::ANNOTATION_CANCEL);
    ns.kubectl(&["annotate", "pgops", "greedy", &annotation], None).await?.succeeded()?;
    let (reason, message) = scaling.wait_failed().await?;
    ensure!(reason == "Cancelled", "{reason}: {message}");
    ensure!(message.contains("serves with the previous resources after "), "{message}");
    let after = orders.object().await?.spec.pod_template;
    ensure!(resources(after.as_ref()) == resources(before.as_ref()), "{after:?} instead of {before:?}");
    orders.wait_ready().await?;
    ensure!(orders.value("SHOW work_mem").await? == "4MB", "the server has the settings that were removed");
    Ok(())
}
