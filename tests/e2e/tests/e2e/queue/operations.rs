//! Operations on a running database wait in the same queue as upgrades.

use anyhow::ensure;
use kube::ResourceExt;
use kube::runtime::watcher;
use pgops_api::PostgresOpsRequest;
use pgops_api::opsrequest::Phase;
use pgops_e2e::{
    DataSet, Database, Namespace, UpgradeRequest, WebhookBypass, assert_upgraded, with_namespace,
};
use serde_json::{Value, json};

use super::{at_most_one, wait_for_reason};

fn is_progressing(request: &PostgresOpsRequest) -> bool {
    request.phase() == Phase::Progressing
}

/// Whichever comes first.
#[tokio::test]
async fn upgrade_waits_for_a_restart_and_restart_and_scaling_wait_for_an_upgrade() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let resources = json!({"requests": {"cpu": "11m"}});
        let container = json!({"name": "postgres", "resources": resources});
        let template = json!({"spec": {"containers": [container]}});
        let orders = ns.postgres("orders").version("13.16").field("podTemplate", template);
        let orders = orders.filled_with(&[DataSet::Kept]).await?;
        let all = watcher::Config::default();
        tokio::select! {
            violation = at_most_one(ns.api::<PostgresOpsRequest>(), all, is_progressing) => match violation? {},
            ended = restart_upgrade_scaling_restart(ns, &orders, &resources) => ended,
        }
    })
    .await
}

async fn restart_upgrade_scaling_restart(
    ns: &Namespace,
    orders: &Database,
    resources: &Value,
) -> anyhow::Result<()> {
    let before = orders.fingerprint().await?;
    orders.pause().await?;
    let operation = |name: &str, type_: &str| {
        ns.upgrade(name).database("orders").without("updateVersion").field("type", json!(type_))
    };
    let scaling = json!({"postgres": {"resources": resources}});
    let requests = [
        operation("a-restart", "Restart"),
        ns.upgrade("b-upgrade").database("orders").to("17.11"),
        operation("c-scale", "VerticalScaling").field("verticalScaling", scaling),
        operation("d-restart", "Restart"),
    ];
    let bypass = WebhookBypass::open(ns).await?;
    let created = bypass.create(&requests[0], &requests).await;
    bypass.close().await?;
    created?;
    wait_for_reason(ns, "a-restart", "is paused (\"held by a test\")").await?;
    wait_for_reason(ns, "b-upgrade", "PostgresOpsRequest a-restart (Pending)").await?;

    // A restart takes a few seconds only: that the upgrade waits meanwhile is what is watched.
    orders.resume().await?;
    for name in ["c-scale", "d-restart"] {
        wait_for_reason(ns, name, "PostgresOpsRequest b-upgrade (Progressing)").await?;
    }
    operation("late", "Restart").rejected_with(&["PostgresOpsRequest b-upgrade"]).await?;

    let ended = async |name| UpgradeRequest::new(ns.clone(), name).wait_successful().await;
    let [first, scaled, last] =
        [ended("a-restart").await?, ended("c-scale").await?, ended("d-restart").await?];
    assert_upgraded(orders, &UpgradeRequest::new(ns.clone(), "b-upgrade"), &before).await?;
    for (request, from, is_restarted) in
        [(&first, "13.16", true), (&scaled, "17.11", false), (&last, "17.11", true)]
    {
        let name = request.name_any();
        ensure!(request.from_version() == Some(from), "{name}: {:?}", request.status);
        // The database has these resources: the pod that the upgrade has started stays.
        let outage = request.status.as_ref().and_then(|status| status.outage.as_ref());
        ensure!(outage.is_some() == is_restarted, "the outage of {name} is {outage:?}");
        ensure!(ns.jobs_of(&name).await?.is_empty(), "{name} has a Job");
    }
    Ok(())
}
