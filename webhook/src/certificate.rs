//! What `serve` is told about its certificate.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use pgops_api::admission::parse_go_duration;
use pgops_certs::{Settings, Source};

/// Where the certificate comes from, and how long things live.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// Secret that keeps the certification authorities; not used with a certificate from files.
    #[arg(long, env = "PGOPS_CA_SECRET", default_value = "pgops-webhook-ca")]
    ca_secret: String,
    /// Directory with tls.crt, tls.key and ca.crt, which somebody else keeps, such as cert-manager.
    #[arg(long, env = "PGOPS_CERTIFICATE_DIR")]
    certificate_dir: Option<PathBuf>,
    /// Life of an authority; the next one is announced after two thirds of it.
    #[arg(long, env = "PGOPS_AUTHORITY_LIFE", default_value = "8760h", value_parser = parse_go_duration)]
    authority_life: Duration,
    /// Life of a serving certificate, which is renewed after two thirds of it.
    #[arg(long, env = "PGOPS_SERVING_LIFE", default_value = "168h", value_parser = parse_go_duration)]
    serving_life: Duration,
    /// Time within which every API server surely learns of a changed webhook configuration.
    #[arg(long, env = "PGOPS_AUTHORITY_OVERLAP", default_value = "10m", value_parser = parse_go_duration)]
    authority_overlap: Duration,
}

impl Options {
    /// Files if a directory is named, and an authority of our own otherwise.
    pub(crate) fn source(&self) -> Source {
        match &self.certificate_dir {
            Some(directory) => Source::Directory(directory.clone()),
            None => Source::SelfSigned { secret: self.ca_secret.clone() },
        }
    }

    /// The durations, if they fit together.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Settings::new(self.authority_life, self.serving_life, self.authority_overlap)
            .context("--authority-life, --serving-life and --authority-overlap do not fit together")
    }
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

    fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
        Ok(Line::try_parse_from(["serve"].iter().chain(arguments))?.options)
    }

    #[test]
    fn without_arguments_the_authority_is_our_own() {
        let options = options(&[]).unwrap();
        assert_eq!(options.source(), Source::SelfSigned { secret: "pgops-webhook-ca".into() });
        assert!(options.settings().is_ok());
    }

    #[test]
    fn a_directory_takes_the_place_of_the_authority() {
        let options = options(&["--certificate-dir", "/certificates"]).unwrap();
        assert_eq!(options.source(), Source::Directory("/certificates".into()));
    }

    #[test]
    fn refuses_durations_that_do_not_fit_and_names_the_flag() {
        let error = options(&["--authority-life", "365d"]).unwrap_err().to_string();
        assert!(error.contains("--authority-life") && error.contains("365d"), "{error}");
        let short = options(&["--authority-life", "24h"]).unwrap().settings().unwrap_err();
        assert!(format!("{short:#}").contains("more than three times"), "{short:#}");
    }
}
