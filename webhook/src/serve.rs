//! `pgops-webhook serve`: caches, certificate, admission, launcher, in one process that ends as a whole.

use std::convert::Infallible;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use kube::{Api, Client};
use pgops_certs::{Certificates, Keeper, Names};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::admission;
use crate::cache::{Caches, run_reflector};
use crate::certificate;
use crate::launcher::{self, PullPolicy};
use crate::lifecycle::{Readiness, Shutdown};
use crate::metrics::Metrics;
use crate::server;

const CACHES: &str = "caches";
const CERTIFICATE: &str = "certificate";

/// What `serve` is told.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Address on which admission is served over TLS.
    #[arg(long, env = "PGOPS_BIND", default_value = "0.0.0.0:8443")]
    bind: SocketAddr,
    /// Address of the plain probes /livez and /readyz, and of /metrics.
    #[arg(long, env = "PGOPS_HEALTH_BIND", default_value = "0.0.0.0:8080")]
    health_bind: SocketAddr,
    /// Namespace of this installation.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
    /// Name of this pod, the holder of the launcher's lease.
    #[arg(long, env = "POD_NAME")]
    pod_name: String,
    /// Service through which the API server calls this webhook.
    #[arg(long, env = "PGOPS_SERVICE", default_value = "pgops-webhook")]
    service: String,
    /// Name of both webhook configurations, whose caBundle is kept.
    #[arg(long, env = "PGOPS_WEBHOOK_CONFIG", default_value = "pgops")]
    webhook_config: String,
    #[command(flatten)]
    certificate: certificate::Options,
    /// Whether this replica may launch upgrades.
    #[arg(long, env = "PGOPS_LAUNCHER", default_value_t = true, action = clap::ArgAction::Set)]
    launcher: bool,
    /// Image of pgops-runner; required for the launcher.
    #[arg(long, env = "PGOPS_RUNNER_IMAGE")]
    runner_image: Option<String>,
    /// When the images of a worker are pulled; the cluster's default where it is left out.
    #[arg(long, env = "PGOPS_IMAGE_PULL_POLICY")]
    image_pull_policy: Option<PullPolicy>,
    /// Form of the log.
    #[arg(long, env = "PGOPS_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Options {
    /// What keeps the certificates.
    fn keeper(&self, client: &Client, certificates: Certificates) -> anyhow::Result<Keeper> {
        let names = Names {
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            configuration: self.webhook_config.clone(),
        };
        let (source, settings) = (self.certificate.source(), self.certificate.settings()?);
        Ok(Keeper::new(client, &names, source, settings, certificates))
    }

    /// What the launcher needs; none if this replica launches nothing.
    fn launcher(&self) -> anyhow::Result<Option<launcher::Options>> {
        if !self.launcher {
            return Ok(None);
        }
        match self.runner_image.clone().filter(|image| !image.is_empty()) {
            Some(runner_image) => Ok(Some(launcher::Options {
                namespace: self.namespace.clone(),
                identity: self.pod_name.clone(),
                images: launcher::Images { runner: runner_image, pull_policy: self.image_pull_policy },
            })),
            None => bail!(
                "--runner-image (PGOPS_RUNNER_IMAGE) is empty: name the image of pgops-runner, or give --launcher false"
            ),
        }
    }
}

/// Serves until the process is told to end. Any part that ends by itself ends the whole: a webhook
/// with a dead cache would decide on a world that is gone.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let _log = log_to_stderr(options.log_format);
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("failed to install the crypto provider: another one is installed");
    }
    let launcher_options = options.launcher()?;
    let shutdown = Shutdown::on_signal()?;
    let client = Client::try_default()
        .await
        .context("failed to find an API server: run in a pod with a service account, or set KUBECONFIG")?;
    let readiness = Readiness::awaiting(&[CACHES, CERTIFICATE]);

    let (caches, writers) = Caches::new();
    let caches = Arc::new(caches);
    let metrics = Metrics::default();
    let certificates = Certificates::default();
    let keeper = options.keeper(&client, certificates.clone())?;

    let tls = pgops_certs::server_config(certificates.resolver());
    let router = admission::router(caches.clone(), metrics.clone());
    let admission = server::admission(options.bind, tls, router, readiness.clone(), shutdown.clone());
    let serve = serve(keeper, admission, readiness.clone(), shutdown.clone());
    let plain = server::plain(readiness.clone(), caches.clone(), certificates, metrics.clone());
    let launch = async {
        match launcher_options {
            Some(options) => {
                launcher::run(client.clone(), options, caches.clone(), metrics, shutdown.clone()).await
            }
            None => std::future::pending().await,
        }
    };
    // A launcher that was told to end is done long before the last review is answered.
    let launch = async {
        launch.await?;
        if shutdown.has_begun() {
            std::future::pending::<()>().await;
        }
        bail!("the launcher ended by itself")
    };
    tokio::select! {
        served = serve => served,
        ended = launch => ended,
        ended = server::serve_plain(options.health_bind, plain) => ended,
        ended = run_reflector(Api::all(client.clone()), writers.databases) => match ended? {},
        ended = run_reflector(Api::all(client.clone()), writers.requests) => match ended? {},
        ended = run_reflector(Api::all(client.clone()), writers.versions) => match ended? {},
        ended = announce(&caches, &readiness) => match ended? {},
    }
}

/// Admission, as soon as there is a certificate, which is kept meanwhile.
async fn serve(
    mut keeper: Keeper,
    admission: impl Future<Output = anyhow::Result<()>>,
    readiness: Readiness,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    tokio::select! {
        obtained = keeper.obtain() => obtained?,
        () = shutdown.begun() => return Ok(()),
    }
    readiness.met(CERTIFICATE);
    tokio::select! {
        served = admission => served,
        ended = keeper.keep() => match ended? {},
    }
}

/// Says when the caches hold the cluster's state for the first time.
async fn announce(caches: &Caches, readiness: &Readiness) -> anyhow::Result<Infallible> {
    caches.wait_until_ready().await.context("a cache ended before it was filled")?;
    tracing::info!("filled the caches");
    readiness.met(CACHES);
    Ok(std::future::pending().await)
}

/// Lines that may wait to be written; the crate would keep room for 128,000 of them, 4 MiB, from the start.
const WAITING_LINES: usize = 4096;

/// Lines are written by a thread of their own, many at once where many come; none is ever dropped. What is
/// returned writes the last of them when it goes.
fn log_to_stderr(format: LogFormat) -> WorkerGuard {
    // What the client logs as an error it also returns, and whoever called it says what it means.
    let usual = || EnvFilter::new("info,kube_client::client::builder=off");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| usual());
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(false)
        .finish(std::io::BufWriter::new(std::io::stderr()));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    guard
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(more: &[&str]) -> Options {
        let line = ["serve", "--namespace", "pgops-system", "--pod-name", "pgops-webhook-0"];
        Line::try_parse_from(line.iter().chain(more)).unwrap().options
    }

    #[test]
    fn the_launcher_refuses_to_start_without_an_image_and_names_the_flag() {
        let error = options(&[]).launcher().unwrap_err().to_string();
        assert!(error.contains("--runner-image"), "{error}");
        assert!(options(&["--launcher", "false"]).launcher().unwrap().is_none());
        let line = ["--runner-image", "r:1", "--image-pull-policy", "IfNotPresent"];
        let images = options(&line).launcher().unwrap().unwrap().images;
        assert_eq!((images.runner.as_str(), images.pull_policy), ("r:1", Some(PullPolicy::IfNotPresent)));
    }
}
