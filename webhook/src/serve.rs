//! `pgops-webhook serve`: caches, certificate, admission and launcher in one process.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context, bail};
use kube::{Api, Client};
use pgops_certs::{CertificateManager, Certificates, ClientAuthority};

use crate::admission;
use crate::args::ServeArgs;
use crate::cache::{Caches, run_reflector};
use crate::launcher;
use crate::logging;
use crate::metrics::Metrics;
use crate::server::{probes, tls};
use pgops_kube::Readiness;
use pgops_kube::shutdown::{self, CancellationToken};

const CACHES: &str = "caches";
const CERTIFICATE: &str = "certificate";

/// Serves until a termination signal. If any part ends by itself, the whole process ends: a webhook with a
/// dead cache would decide on outdated state.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let _log = logging::log_to_stderr(args.log_format);
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("failed to install the crypto provider: another one is installed");
    }
    let launcher_options = args.launcher()?;
    let shutdown = shutdown::on_signal().context("failed to listen for termination signals")?;
    let client = args.connect.connect().await?;
    let readiness = Readiness::requiring(&[CACHES, CERTIFICATE]);

    let (caches, writers) = Caches::new();
    let caches = Arc::new(caches);
    let metrics = Metrics::default();
    let certificates = Certificates::default();
    let manager = args.certificate_manager(&client, certificates.clone())?;

    let clients = args.certificate.client_authority()?;
    let tls_config = pgops_certs::server_config(certificates.resolver(), clients.clone());
    let reviews = admission::router(caches.clone(), metrics.clone());
    let listener =
        tls::serve(args.bind, tls_config, reviews, metrics.clone(), readiness.clone(), shutdown.clone());
    let admission = serve_admission(manager, listener, readiness.clone(), shutdown.clone());
    let probes = probes::router(readiness.clone(), caches.clone(), certificates, metrics.clone());
    let probes = probes::serve(args.health_bind, probes, metrics.clone());
    let launcher = run_launcher(client.clone(), launcher_options, caches.clone(), metrics, shutdown);
    tokio::select! {
        served = admission => served,
        ended = launcher => match ended? {},
        ended = probes => ended,
        ended = watch_client_authority(clients) => match ended {},
        ended = run_reflector(Api::all(client.clone()), writers.databases) => match ended? {},
        ended = run_reflector(Api::all(client.clone()), writers.requests) => match ended? {},
        ended = run_reflector(Api::all(client.clone()), writers.versions) => match ended? {},
        ended = report_filled_caches(&caches, &readiness) => match ended? {},
    }
}

/// Obtains the certificate, then serves admission while the certificate is renewed.
async fn serve_admission(
    mut manager: CertificateManager,
    listener: impl Future<Output = anyhow::Result<()>>,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        obtained = manager.initial_certificate() => obtained?,
        () = shutdown.cancelled() => return Ok(()),
    }
    readiness.set_met(CERTIFICATE);
    tokio::select! {
        served = listener => served,
        ended = manager.run() => match ended? {},
    }
}

/// Follows changes of the CA for clients, if there is one.
async fn watch_client_authority(clients: Option<Arc<ClientAuthority>>) -> Infallible {
    match clients {
        Some(clients) => clients.watch().await,
        None => std::future::pending().await,
    }
}

/// Runs the launcher, if this replica has one. After a termination signal the launcher ends long before the
/// last review is answered, so this waits.
async fn run_launcher(
    client: Client,
    options: Option<launcher::Options>,
    caches: Arc<Caches>,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> anyhow::Result<Infallible> {
    if let Some(options) = options {
        launcher::run(client, options, caches, metrics, shutdown.clone()).await?;
        if !shutdown.is_cancelled() {
            bail!("the launcher ended by itself");
        }
    }
    Ok(std::future::pending().await)
}

/// Marks the caches as ready once they hold the cluster's state for the first time.
async fn report_filled_caches(caches: &Caches, readiness: &Readiness) -> anyhow::Result<Infallible> {
    caches.wait_until_ready().await.context("a cache ended before it was filled")?;
    tracing::info!("filled the caches");
    readiness.set_met(CACHES);
    Ok(std::future::pending().await)
}
