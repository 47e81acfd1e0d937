//! Admissions at a steady rate, to be seen through whatever happens to the webhook.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kube::api::{Api, PostParams};
use pgops_api::PostgresOpsRequest;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::{Namespace, UpgradeBuilder};

/// Between two requests: 200 a second.
const PACE: Duration = Duration::from_millis(5);
/// Requests that are on their way at the same time. An API server that stands still gets no more.
const IN_FLIGHT: usize = 100;

/// Creations in dry run, one that is admitted and one that is refused in turn.
pub struct AdmissionLoad {
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<Tally>>,
}

/// What came of them.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were answered as they must be.
    pub answered: usize,
    /// Others: refusals in the place of admissions, and the other way round, and failures to ask at all.
    pub lost: Vec<String>,
    /// How long it went on.
    pub time: Duration,
}

impl AdmissionLoad {
    /// Begins. Each of the two requests is the same every time; nothing is ever stored.
    pub fn begin(
        ns: &Namespace,
        admitted: &UpgradeBuilder,
        refused: &UpgradeBuilder,
    ) -> anyhow::Result<Self> {
        let parse = |builder: &UpgradeBuilder| -> anyhow::Result<PostgresOpsRequest> {
            serde_json::from_value(builder.manifest().clone())
                .context("failed to read a manifest of the load")
        };
        let objects = [parse(admitted)?, parse(refused)?];
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(ns.api(), objects, stopped));
        Ok(Self { stop, task })
    }

    /// Ends, waits for all answers, and fails if one was lost. A rate that was not reached is told, and no
    /// failure: the machine may have other work.
    pub async fn end(self) -> anyhow::Result<Tally> {
        self.stop.send_replace(true);
        let tally = self.task.await??;
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let rate = tally.answered as f64 / tally.time.as_secs_f64();
        eprintln!(
            "--- {} admissions in {:.1} s, {rate:.0} a second",
            tally.answered,
            tally.time.as_secs_f64()
        );
        ensure!(
            tally.lost.is_empty(),
            "{} of {} admissions were lost, the first by: {}",
            tally.lost.len(),
            tally.answered + tally.lost.len(),
            tally.lost[0]
        );
        Ok(tally)
    }
}

async fn run(
    requests: Api<PostgresOpsRequest>,
    objects: [PostgresOpsRequest; 2],
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<Tally> {
    let begun = Instant::now();
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut tick = tokio::time::interval(PACE);
    let mut asked = JoinSet::new();
    for object in objects.iter().enumerate().cycle() {
        let place = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            place = async { tick.tick().await; room.clone().acquire_owned().await } => place?,
        };
        let (requests, (number, object)) = (requests.clone(), (object.0, object.1.clone()));
        asked.spawn(async move {
            let _place = place;
            ask(&requests, &object, number == 0).await
        });
    }
    let mut tally = Tally::default();
    while let Some(answer) = asked.join_next().await {
        match answer? {
            Ok(()) => tally.answered += 1,
            Err(lost) => tally.lost.push(lost),
        }
    }
    tally.time = begun.elapsed();
    Ok(tally)
}

async fn ask(
    requests: &Api<PostgresOpsRequest>,
    object: &PostgresOpsRequest,
    is_admitted: bool,
) -> Result<(), String> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    match requests.create(&dry_run, object).await {
        Ok(_) if is_admitted => Ok(()),
        Ok(_) => Err("admitted what must be refused".to_owned()),
        Err(kube::Error::Api(status)) if status.code == 403 && !is_admitted => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
