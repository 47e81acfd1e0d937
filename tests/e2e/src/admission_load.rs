//! A steady rate of admission reviews, kept up while the webhook is disturbed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kube::api::{Api, PostParams};
use pgops_api::PostgresOpsRequest;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::namespace::Namespace;
use crate::request_builder::UpgradeRequestBuilder;

/// Between two requests: 200 a second.
const INTERVAL: Duration = Duration::from_millis(5);
/// Maximum number of concurrent requests. An API server that hangs receives no further ones.
const MAX_IN_FLIGHT: usize = 100;

/// Dry-run creations that must be admitted and denied in turn.
pub struct AdmissionLoad {
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<LoadResult>>,
}

/// The outcome of the load.
#[derive(Debug, Default)]
pub struct LoadResult {
    /// Number of reviews with the expected decision.
    pub answered: usize,
    /// All others: wrong decisions and failed calls.
    pub lost: Vec<String>,
    /// Duration of the load.
    pub time: Duration,
}

impl AdmissionLoad {
    /// Starts the load. Each of the two requests is the same every time; nothing is ever stored.
    pub fn start(
        ns: &Namespace,
        admitted: &UpgradeRequestBuilder,
        denied: &UpgradeRequestBuilder,
    ) -> anyhow::Result<Self> {
        let parse = |builder: &UpgradeRequestBuilder| -> anyhow::Result<PostgresOpsRequest> {
            serde_json::from_value(builder.manifest().clone())
                .context("failed to parse a manifest of the load")
        };
        let objects = [parse(admitted)?, parse(denied)?];
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(ns.api(), objects, stopped));
        Ok(Self { stop, task })
    }

    /// Stops, waits for all answers, and fails if one was lost. A low rate is printed but does not fail: the
    /// machine may be busy.
    pub async fn stop(self) -> anyhow::Result<LoadResult> {
        self.stop.send_replace(true);
        let result = self.task.await??;
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let rate = result.answered as f64 / result.time.as_secs_f64();
        eprintln!(
            "--- {} admissions in {:.1} s, {rate:.0} a second",
            result.answered,
            result.time.as_secs_f64()
        );
        ensure!(
            result.lost.is_empty(),
            "{} of {} admissions were lost, the first one with: {}",
            result.lost.len(),
            result.answered + result.lost.len(),
            result.lost[0]
        );
        Ok(result)
    }
}

async fn run(
    requests: Api<PostgresOpsRequest>,
    objects: [PostgresOpsRequest; 2],
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<LoadResult> {
    let start = Instant::now();
    let slots = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let mut tick = tokio::time::interval(INTERVAL);
    let mut reviews = JoinSet::new();
    for (number, object) in objects.iter().enumerate().cycle() {
        let slot = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            slot = async { tick.tick().await; slots.clone().acquire_owned().await } => slot?,
        };
        let requests = requests.clone();
        let object = object.clone();
        reviews.spawn(async move {
            let _slot = slot;
            review(&requests, &object, number == 0).await
        });
    }
    let mut result = LoadResult::default();
    while let Some(review) = reviews.join_next().await {
        match review? {
            Ok(()) => result.answered += 1,
            Err(lost) => result.lost.push(lost),
        }
    }
    result.time = start.elapsed();
    Ok(result)
}

async fn review(
    requests: &Api<PostgresOpsRequest>,
    object: &PostgresOpsRequest,
    is_admitted: bool,
) -> Result<(), String> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    match requests.create(&dry_run, object).await {
        Ok(_) if is_admitted => Ok(()),
        Ok(_) => Err("admitted a request that must be denied".to_owned()),
        Err(kube::Error::Api(status)) if status.code == 403 && !is_admitted => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
