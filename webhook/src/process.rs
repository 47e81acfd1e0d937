//! What both modes of the program have in common: the start, the caches, probes and metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use kube::{Api, Client};
use pgops_api::topology::StandbySupport;
use pgops_certs::Certificates;
use pgops_kube::shutdown::{self, CancellationToken};
use pgops_kube::{Namespaces, Readiness};
use tracing_appender::non_blocking::WorkerGuard;

use crate::args::ProcessArgs;
use crate::cache::{Caches, StoreWriters, run_reflector, run_reflectors};
use crate::logging;
use crate::metrics::Metrics;
use crate::server::probes;

/// What a process must have before it is ready, in every mode.
const CACHES: &str = "caches";
/// Pause between two looks at the age of the caches.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A process that has been started: what its mode works with.
pub struct Process {
    /// A client of the API server.
    pub client: Client,
    /// The namespaces to work in.
    pub namespaces: Namespaces,
    /// The cluster's state, once the process [runs](Self::run).
    pub caches: Arc<Caches>,
    /// The metrics of this process.
    pub metrics: Metrics,
    /// What this process waits for before it is ready.
    pub readiness: Readiness,
    /// Cancelled by a termination signal.
    pub shutdown: CancellationToken,
    writers: StoreWriters,
    args: ProcessArgs,
    /// Writes the last lines of the log when it is dropped.
    _log: WorkerGuard,
}

impl Process {
    /// Starts logging, and connects to the API server. The process is ready when the caches are filled and `conditions`
    /// are met.
    pub async fn start(args: ProcessArgs, conditions: &[&'static str]) -> anyhow::Result<Self> {
        let log = logging::log_to_stderr(args.log_format);
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            bail!("failed to install the crypto provider: another one is installed");
        }
        let shutdown = shutdown::on_signal().context("failed to listen for termination signals")?;
        let client = args.connect.connect().await?;
        let (caches, writers) = Caches::new();
        let conditions: Vec<_> = [CACHES].iter().chain(conditions).copied().collect();
        Ok(Self {
            client,
            namespaces: args.namespaces.namespaces(),
            caches: Arc::new(
                caches
                    .managing(args.managed_databases)
                    .executing(args.executed_requests)
                    .supporting(StandbySupport::enabled_if(args.enable_standbys)),
            ),
            metrics: Metrics::default(),
            readiness: Readiness::requiring(&conditions),
            shutdown,
            writers,
            args,
            _log: log,
        })
    }

    /// Runs until the work ends, after a termination signal. If any part ends by itself, the whole process ends: one
    /// with a dead cache would decide on outdated state.
    pub async fn run(
        self,
        certificates: Certificates,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let Self { client, namespaces, caches, metrics, readiness, writers, args, _log, .. } = self;
        let probes = probes::router(readiness.clone(), caches.clone(), certificates, metrics.clone());
        tokio::select! {
            ended = work => ended,
            ended = probes::serve(args.health_bind, probes, metrics) => ended,
            ended = run_reflectors(namespaces.apis(&client), writers.databases) => match ended? {},
            ended = run_reflectors(namespaces.apis(&client), writers.requests) => match ended? {},
            ended = run_reflector(Api::all(client.clone()), writers.versions) => match ended? {},
            ended = report_caches(&caches, &readiness) => match ended? {},
        }
    }
}

/// Marks the caches as ready once they hold the cluster's state for the first time, and as long as they follow it.
async fn report_caches(caches: &Caches, readiness: &Readiness) -> anyhow::Result<Infallible> {
    caches.wait_until_ready().await.context("a cache ended before it was filled")?;
    tracing::info!("filled the caches");
    let mut was_stale = false;
    loop {
        let stale = caches.stale();
        match &stale {
            None => readiness.set_met(CACHES),
            Some(_) => readiness.set_unmet(CACHES),
        }
        match stale {
            Some((kind, age)) if !was_stale => {
                let seconds = age.as_secs();
                tracing::warn!(
                    kind,
                    seconds,
                    "not ready: the API server does not answer, and the caches are stale"
                );
                was_stale = true;
            }
            None if was_stale => {
                tracing::info!("ready again: the caches follow the cluster");
                was_stale = false;
            }
            _ => {}
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}
