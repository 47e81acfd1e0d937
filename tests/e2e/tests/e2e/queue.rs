//! Several requests for one database: one after the other, in the order of their creation.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use pgops_api::opsrequest::{CONDITION_WAITING, Phase};
use pgops_api::{Postgres, PostgresOpsRequest, condition, names};
use pgops_e2e::{
    DataSet, Database, Namespace, UpgradeRequest, WebhookBypass, assert_upgraded, wait_for, with_namespace,
};
use serde::de::DeserializeOwned;
use serde_json::json;

const MINUTE: Duration = Duration::from_mins(1);

/// All three were allowed when they came. The third is not any more when its turn has come.
#[tokio::test]
async fn three_requests_past_admission_have_one_job_at_a_time_and_end_truthfully() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        tokio::select! {
            broken = one_at_a_time(ns.api::<Job>(), works) => match broken? {},
            broken = one_at_a_time(ns.api::<Pod>(), runs) => match broken? {},
            ended = three_requests(ns, &orders) => ended,
        }
    })
    .await
}

async fn three_requests(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = orders.fingerprint().await?;
    // While it is paused nobody begins, so that all three are there when the first one may.
    pause(orders).await?;
    let wanted = [("first", "17.11"), ("second", "17.12"), ("third", "13.23")];
    let requests = wanted.map(|(name, target)| ns.upgrade(name).database("orders").to(target));
    let past = WebhookBypass::open(ns).await?;
    let created = past.create(&requests[0], &requests).await;
    past.close().await?;
    created?;
    waits(ns, "first", "is paused (\"kept away by a test\")").await?;
    waits(ns, "second", "PostgresOpsRequest first (Pending)").await?;
    waits(ns, "third", "PostgresOpsRequest first (Pending)").await?;

    resume(orders).await?;
    let [first, second, third] = wanted.map(|(name, _)| UpgradeRequest::new(ns.clone(), name));
    waits(ns, "third", "PostgresOpsRequest first (Progressing)").await?;
    first.wait_successful().await?;
    assert_upgraded(orders, &second, &before).await?;
    let from = second.wait_successful().await?.status.and_then(|status| status.from);
    ensure!(from.as_deref() == Some("17.11"), "second began from {from:?}, not from where first ended");

    // Denied in the words that the same request hears when it is applied now.
    let (reason, message) = third.wait_denied().await?;
    ensure!(reason == "Downgrade", "third was denied by {reason}: {message}");
    ns.upgrade("asked-now").database("orders").to("13.23").rejected_with(&[&message]).await?;

    in_order(&only_job(ns, "first").await?, &only_job(ns, "second").await?)?;
    ensure!(ns.jobs_of("third").await?.is_empty(), "a request that was denied has a Job");
    let free = |found: Option<&Postgres>| {
        found.is_some_and(|orders| !orders.annotations().contains_key(names::ANNOTATION_CLAIM))
    };
    wait_for(&ns.api(), "orders", "the end of the last claim", MINUTE, free).await?;
    Ok(())
}

/// Waits until the request says that it waits, and what for.
async fn waits(ns: &Namespace, name: &str, what_for: &str) -> anyhow::Result<()> {
    let says = |found: Option<&PostgresOpsRequest>| {
        let status = found.filter(|it| it.phase() == Phase::Pending).and_then(|it| it.status.as_ref());
        let waiting = status.and_then(|status| condition::find(&status.conditions, CONDITION_WAITING));
        waiting.and_then(|it| it.message.as_deref()).is_some_and(|message| message.contains(what_for))
    };
    wait_for(&ns.api(), name, &format!("condition Waiting, {what_for}"), MINUTE, says).await.map(drop)
}

async fn only_job(ns: &Namespace, request: &str) -> anyhow::Result<Job> {
    let mut jobs = ns.jobs_of(request).await?;
    ensure!(jobs.len() == 1, "{request} has {} Jobs", jobs.len());
    Ok(jobs.remove(0))
}

/// The second Job began when the first one was over.
fn in_order(first: &Job, second: &Job) -> anyhow::Result<()> {
    let times = |job: &Job| job.status.as_ref().map(|it| (it.start_time.clone(), it.completion_time.clone()));
    let ended = times(first).and_then(|(_, ended)| ended).context("the first Job has no end")?;
    let began = times(second).and_then(|(began, _)| began).context("the second Job has no beginning")?;
    ensure!(ended <= began, "the second Job began at {began:?}, before the first one ended at {ended:?}");
    Ok(())
}

/// Watches all objects of a kind; fails as soon as two of them act at the same time.
async fn one_at_a_time<K>(api: kube::Api<K>, acts: fn(&K) -> bool) -> anyhow::Result<Infallible>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let workers = watcher::Config::default().labels(names::LABEL_REQUEST);
    let mut changes = pin!(watcher(api, workers));
    let mut acting = HashSet::new();
    while let Some(change) = changes.try_next().await? {
        match change {
            Event::Init => acting.clear(),
            Event::InitApply(object) | Event::Apply(object) if acts(&object) => {
                acting.insert(object.name_any());
            }
            Event::InitApply(object) | Event::Apply(object) | Event::Delete(object) => {
                acting.remove(&object.name_any());
            }
            Event::InitDone => {}
        }
        ensure!(acting.len() <= 1, "{} objects act at the same time: {acting:?}", K::kind(&()));
    }
    bail!("the watch on {} ended", K::kind(&()))
}

fn works(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let over = conditions
        .iter()
        .any(|it| ["Complete", "Failed"].contains(&it.type_.as_str()) && it.status == "True");
    job.spec.as_ref().and_then(|spec| spec.suspend) != Some(true) && !over
}

fn runs(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Pauses the database as a person would. Appended, so that what the provisioner writes is not lost.
async fn pause(database: &Database) -> anyhow::Result<()> {
    let paused = json!({
        "type": "Paused", "status": "True", "reason": "Test", "message": "kept away by a test",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    patch_status(database, json!([{"op": "add", "path": "/status/conditions/-", "value": paused}])).await
}

async fn resume(database: &Database) -> anyhow::Result<()> {
    let object = database.object().await?;
    let conditions = object.status.map(|status| status.conditions).unwrap_or_default();
    let at = conditions.iter().position(|it| it.type_ == "Paused").context("it is not paused")?;
    let place = format!("/status/conditions/{at}");
    let removal = json!([
        {"op": "test", "path": format!("{place}/type"), "value": "Paused"},
        {"op": "remove", "path": place},
    ]);
    patch_status(database, removal).await
}

async fn patch_status(database: &Database, patch: serde_json::Value) -> anyhow::Result<()> {
    let patch = Patch::<()>::Json(serde_json::from_value(patch)?);
    let api = database.namespace().api::<Postgres>();
    api.patch_status(database.name(), &PatchParams::default(), &patch).await?;
    Ok(())
}
