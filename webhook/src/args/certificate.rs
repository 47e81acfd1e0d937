//! The arguments of `serve` about its certificate.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use pgops_api::admission::parse_go_duration;
use pgops_certs::{ClientAuthority, Settings, Source};

/// Source and lifetimes of the certificate.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct CertificateArgs {
    /// Secret that stores the certificate authorities; unused with --certificate-dir.
    #[arg(long, env = "PGOPS_CA_SECRET", default_value = "pgops-webhook-ca")]
    ca_secret: String,
    /// Directory with tls.crt, tls.key and ca.crt, maintained by another component such as cert-manager.
    #[arg(long, env = "PGOPS_CERTIFICATE_DIR")]
    certificate_dir: Option<PathBuf>,
    /// Lifetime of a certificate authority; the next one is announced after two thirds of it.
    #[arg(long, env = "PGOPS_AUTHORITY_LIFE", default_value = "8760h", value_parser = parse_go_duration)]
    authority_life: Duration,
    /// Lifetime of a serving certificate; it is renewed after two thirds of it.
    #[arg(long, env = "PGOPS_SERVING_LIFE", default_value = "168h", value_parser = parse_go_duration)]
    serving_life: Duration,
    /// Time after which every API server has observed a changed webhook configuration.
    #[arg(long, env = "PGOPS_AUTHORITY_OVERLAP", default_value = "10m", value_parser = parse_go_duration)]
    authority_overlap: Duration,
    /// File with the CA that signs the client certificates of API servers; if set, only clients with such a certificate
    /// can connect.
    #[arg(long, env = "PGOPS_CLIENT_CA")]
    client_ca: Option<PathBuf>,
}

impl CertificateArgs {
    /// Files if a directory is set, otherwise an authority of the webhook's own.
    pub(crate) fn source(&self) -> Source {
        match &self.certificate_dir {
            Some(directory) => Source::Directory(directory.clone()),
            None => Source::SelfSigned { secret: self.ca_secret.clone() },
        }
    }

    /// The CA for clients, if any is required.
    pub(crate) fn client_authority(&self) -> anyhow::Result<Option<Arc<ClientAuthority>>> {
        let read = |file: &PathBuf| ClientAuthority::read(file.clone()).map(Arc::new);
        self.client_ca.as_ref().map(read).transpose().context("--client-ca is unusable")
    }

    /// The lifetimes, if they are consistent.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Settings::new(self.authority_life, self.serving_life, self.authority_overlap)
            .context("--authority-life, --serving-life and --authority-overlap are inconsistent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CertificateArgs,
    }

    fn parse(arguments: &[&str]) -> Result<CertificateArgs, clap::Error> {
        Ok(Line::try_parse_from(["serve"].iter().chain(arguments))?.args)
    }

    #[test]
    fn authority_is_the_webhooks_own_by_default() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.source(), Source::SelfSigned { secret: "pgops-webhook-ca".into() });
        assert!(args.settings().is_ok());
    }

    #[test]
    fn certificate_dir_replaces_the_own_authority() {
        let args = parse(&["--certificate-dir", "/certificates"]).unwrap();
        assert_eq!(args.source(), Source::Directory("/certificates".into()));
    }

    #[test]
    fn inconsistent_lifetimes_are_rejected_with_the_flag() {
        let error = parse(&["--authority-life", "365d"]).unwrap_err().to_string();
        assert!(error.contains("--authority-life") && error.contains("365d"), "{error}");
        let short = parse(&["--authority-life", "24h"]).unwrap().settings().unwrap_err();
        assert!(format!("{short:#}").contains("more than three times"), "{short:#}");
    }

    #[test]
    fn unreadable_client_ca_is_rejected_with_the_flag() {
        assert!(parse(&[]).unwrap().client_authority().unwrap().is_none());
        let error = parse(&["--client-ca", "/nowhere/ca.crt"]).unwrap().client_authority().unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("--client-ca") && error.contains("/nowhere/ca.crt"), "{error}");
    }
}
