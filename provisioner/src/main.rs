//! `pgops-provisioner`: turns each `Postgres` into the objects that run it, and says how it is.

mod apply;
mod children;
mod controller;
mod deletion;
mod design;
mod health;
mod pod_template;
mod run;
mod secret;
mod status;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Without the lines in which the client repeats each failure that is reported here with its meaning,
/// and without the controller's own spans: each line names its database.
const FILTER: &str = "info,kube_client=off,kube_runtime=warn";

fn main() -> ExitCode {
    let options = run::Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match options.log_format {
        run::LogFormat::Text => log.with_ansi(false).init(),
        run::LogFormat::Json => log.json().flatten_event(true).init(),
    }
    match run::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
