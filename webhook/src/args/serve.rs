//! The arguments of `serve`.

use std::net::SocketAddr;

use clap::Args;
use kube::Client;
use pgops_certs::{CertificateManager, Certificates, Names};

use super::certificate::CertificateArgs;
use super::process::ProcessArgs;

/// The arguments of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address of the TLS listener for admission reviews; `[::]` is IPv4 too.
    #[arg(long, env = "PGOPS_BIND", default_value = "[::]:8443")]
    pub(crate) bind: SocketAddr,
    /// Namespace of this installation.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
    /// Service through which the API server calls this webhook.
    #[arg(long, env = "PGOPS_SERVICE", default_value = "pgops-webhook")]
    service: String,
    /// Name of both webhook configurations, whose caBundle is kept up to date.
    #[arg(long, env = "PGOPS_WEBHOOK_CONFIG", default_value = "pgops")]
    webhook_config: String,
    #[command(flatten)]
    pub(crate) certificate: CertificateArgs,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
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
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Cli;

    #[test]
    fn serving_admission_takes_no_option_of_the_launcher() {
        let line = ["pgops-webhook", "serve", "--namespace", "pgops-system"];
        assert!(Cli::try_parse_from(line).is_ok());
        let error = Cli::try_parse_from(line.iter().chain(&["--runner-image", "r:1"])).err().unwrap();
        assert!(error.to_string().contains("--runner-image"), "{error}");
    }
}
