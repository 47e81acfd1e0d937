//! The command line.

mod certificate;

use std::net::SocketAddr;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};
use kube::Client;
use pgops_certs::{CertificateManager, Certificates, Names};
use pgops_kube::PullPolicy;
use pgops_kube::connect::ConnectArgs;
use pgops_kube::logging::LogFormat;

use crate::launcher;
use crate::offline::DecideArgs;
use certificate::CertificateArgs;

/// The command line of `pgops-webhook`.
#[derive(Parser)]
#[command(version, about = "Admission and launcher of PostgreSQL upgrades")]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Subcommand)]
pub enum Command {
    /// Serve admission reviews and, as the leader, launch the Jobs of admitted requests.
    Serve(Box<ServeArgs>),
    /// Decide on upgrades from a catalog file, without a cluster.
    Decide(DecideArgs),
}

/// The arguments of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address of the TLS listener for admission reviews.
    #[arg(long, env = "PGOPS_BIND", default_value = "0.0.0.0:8443")]
    pub(crate) bind: SocketAddr,
    /// Address of the plain HTTP listener for /livez, /readyz and /metrics.
    #[arg(long, env = "PGOPS_HEALTH_BIND", default_value = "0.0.0.0:8080")]
    pub(crate) health_bind: SocketAddr,
    /// Namespace of this installation.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
    /// Name of this pod, which identifies it as the holder of the launcher's Lease.
    #[arg(long, env = "POD_NAME")]
    pod_name: String,
    /// Service through which the API server calls this webhook.
    #[arg(long, env = "PGOPS_SERVICE", default_value = "pgops-webhook")]
    service: String,
    /// Name of both webhook configurations, whose caBundle is kept up to date.
    #[arg(long, env = "PGOPS_WEBHOOK_CONFIG", default_value = "pgops")]
    webhook_config: String,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) certificate: CertificateArgs,
    /// Whether this replica may launch upgrades.
    #[arg(long, env = "PGOPS_LAUNCHER", default_value_t = true, action = clap::ArgAction::Set)]
    launcher: bool,
    /// Image of pgops-runner; required for the launcher.
    #[arg(long, env = "PGOPS_RUNNER_IMAGE")]
    runner_image: Option<String>,
    /// Image pull policy of workers; the cluster's default if omitted.
    #[arg(long, env = "PGOPS_IMAGE_PULL_POLICY")]
    image_pull_policy: Option<PullPolicy>,
    /// Log format.
    #[arg(long, env = "PGOPS_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

impl ServeArgs {
    /// What keeps the certificates.
    pub(crate) fn certificate_manager(
        &self,
        client: &Client,
        certificates: Certificates,
    ) -> anyhow::Result<CertificateManager> {
        let names = Names {
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            configuration: self.webhook_config.clone(),
        };
        let source = self.certificate.source();
        let settings = self.certificate.settings()?;
        Ok(CertificateManager::new(client, &names, source, settings, certificates))
    }

    /// The options of the launcher; none if this replica launches nothing.
    pub(crate) fn launcher(&self) -> anyhow::Result<Option<launcher::Options>> {
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
                "--runner-image (PGOPS_RUNNER_IMAGE) is empty: set it to the image of pgops-runner, or set --launcher false"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve_args(more: &[&str]) -> ServeArgs {
        let line = ["pgops-webhook", "serve", "--namespace", "pgops-system", "--pod-name", "pgops-webhook-0"];
        match Cli::try_parse_from(line.iter().chain(more)).unwrap().command {
            Command::Serve(args) => *args,
            Command::Decide(_) => panic!("another command"),
        }
    }

    #[test]
    fn launcher_requires_an_image_and_names_the_flag() {
        let error = serve_args(&[]).launcher().unwrap_err().to_string();
        assert!(error.contains("--runner-image"), "{error}");
        assert!(serve_args(&["--launcher", "false"]).launcher().unwrap().is_none());
        let line = ["--runner-image", "r:1", "--image-pull-policy", "IfNotPresent"];
        let images = serve_args(&line).launcher().unwrap().unwrap().images;
        assert_eq!((images.runner.as_str(), images.pull_policy), ("r:1", Some(PullPolicy::IfNotPresent)));
    }
}
