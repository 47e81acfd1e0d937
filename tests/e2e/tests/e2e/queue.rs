//! Several requests for one database run one after the other, in the order of their creation.

mod operations;

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use pgops_api::opsrequest::{CONDITION_WAITING, Phase};
use pgops_api::{Postgres, PostgresOpsRequest, condition, names};
use pgops_e2e::{
    DataSet, Database, Namespace, UpgradeRequest, WebhookBypass, assert_upgraded, wait_for, with_namespace,
};
use serde::de::DeserializeOwned;

const TIMEOUT: Duration = Duration::from_mins(2);

/// All three are allowed when they are created. The third no longer is when its turn comes.
#[tokio::test]
async fn requests_that_bypass_admission_run_one_at_a_time() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        tokio::select! {
            violation = at_most_one(ns.api::<Job>(), workers(), is_active_job) => match violation? {},
            violation = at_most_one(ns.api::<Pod>(), workers(), is_active_pod) => match violation? {},
            ended = three_requests(ns, &orders) => ended,
        }
    })
    .await
}

async fn three_requests(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    let before = orders.fingerprint().await?;
    // No request starts while the database is paused, so all three exist before the first one does.
    orders.pause().await?;
    let wanted = [("first", "17.11"), ("second", "17.12"), ("third", "13.23")];
    let requests = wanted.map(|(name, target)| ns.upgrade(name).database("orders").to(target));
    let bypass = WebhookBypass::open(ns).await?;
    let created = bypass.create(&requests[0], &requests).await;
    bypass.close().await?;
    created?;
    wait_for_reason(ns, "first", "is paused (\"held by a test\")").await?;
    wait_for_reason(ns, "second", "PostgresOpsRequest first (Pending)").await?;
    wait_for_reason(ns, "third", "PostgresOpsRequest first (Pending)").await?;

    orders.resume().await?;
    let [first, second, third] = wanted.map(|(name, _)| UpgradeRequest::new(ns.clone(), name));
    wait_for_reason(ns, "third", "PostgresOpsRequest first (Progressing)").await?;
    first.wait_successful().await?;
    assert_upgraded(orders, &second, &before).await?;
    let from = second.wait_successful().await?.status.and_then(|status| status.from);
    ensure!(
        from.as_deref() == Some("17.11"),
        "second upgraded from {from:?}, not from the version that first had installed"
    );

    // Denied with the message that admission gives to the same request now.
    let (reason, message) = third.wait_denied().await?;
    ensure!(reason == "Downgrade", "third was denied by {reason}: {message}");
    ns.upgrade("applied-now").database("orders").to("13.23").rejected_with(&[&message]).await?;

    ensure_sequential(&only_job(ns, "first").await?, &only_job(ns, "second").await?)?;
    ensure!(ns.jobs_of("third").await?.is_empty(), "a denied request has a Job");
    let is_unclaimed = |found: Option<&Postgres>| {
        found.is_some_and(|orders| !orders.annotations().contains_key(names::ANNOTATION_CLAIM))
    };
    wait_for(&ns.api(), "orders", "the release of the claim", TIMEOUT, is_unclaimed).await?;
    Ok(())
}

/// Waits until the request has the condition Waiting with this reason in its message.
async fn wait_for_reason(ns: &Namespace, name: &str, reason: &str) -> anyhow::Result<()> {
    let is_waiting = |found: Option<&PostgresOpsRequest>| {
        let status = found.filter(|it| it.phase() == Phase::Pending).and_then(|it| it.status.as_ref());
        let waiting = status.and_then(|status| condition::find(&status.conditions, CONDITION_WAITING));
        waiting.and_then(|it| it.message.as_deref()).is_some_and(|message| message.contains(reason))
    };
    wait_for(&ns.api(), name, &format!("condition Waiting, {reason}"), TIMEOUT, is_waiting).await.map(drop)
}

async fn only_job(ns: &Namespace, request: &str) -> anyhow::Result<Job> {
    let mut jobs = ns.jobs_of(request).await?;
    ensure!(jobs.len() == 1, "{request} has {} Jobs", jobs.len());
    Ok(jobs.remove(0))
}

/// The second Job started after the first one had completed.
fn ensure_sequential(first: &Job, second: &Job) -> anyhow::Result<()> {
    let times = |job: &Job| job.status.as_ref().map(|it| (it.start_time.clone(), it.completion_time.clone()));
    let ended = times(first).and_then(|(_, ended)| ended).context("the first Job has no completion time")?;
    let started =
        times(second).and_then(|(started, _)| started).context("the second Job has no start time")?;
    ensure!(
        ended <= started,
        "the second Job started at {started:?}, before the first one completed at {ended:?}"
    );
    Ok(())
}

/// The objects that work for a request.
fn workers() -> watcher::Config {
    watcher::Config::default().labels(names::LABEL_REQUEST)
}

/// Watches objects of a kind; fails as soon as two of them are active at the same time.
async fn at_most_one<K>(
    api: kube::Api<K>,
    watched: watcher::Config,
    is_active: fn(&K) -> bool,
) -> anyhow::Result<Infallible>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut changes = pin!(watcher(api, watched).default_backoff());
    let mut active = HashSet::new();
    while let Some(change) = changes.next().await {
        // A watch that breaks begins again, with all objects.
        let Ok(change) = change else { continue };
        match change {
            Event::Init => active.clear(),
            Event::InitApply(object) | Event::Apply(object) if is_active(&object) => {
                active.insert(object.name_any());
            }
            Event::InitApply(object) | Event::Apply(object) | Event::Delete(object) => {
                active.remove(&object.name_any());
            }
            Event::InitDone => {}
        }
        ensure!(active.len() <= 1, "{} objects are active at the same time: {active:?}", K::kind(&()));
    }
    bail!("the watch on {} ended", K::kind(&()))
}

fn is_active_job(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let has_ended = conditions
        .iter()
        .any(|it| ["Complete", "Failed"].contains(&it.type_.as_str()) && it.status == "True");
    job.spec.as_ref().and_then(|spec| spec.suspend) != Some(true) && !has_ended
}

fn is_active_pod(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}
