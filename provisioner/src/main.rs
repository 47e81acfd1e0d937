//! `pgops-provisioner`: turns each `Postgres` into the objects that run it, and reports its status.

mod apply;
mod build;
mod build_error;
mod children;
mod claims;
mod context;
mod controller;
mod deletion;
mod design;
#[cfg(test)]
mod fixtures;
mod health;
mod image;
mod metrics;
mod options;
mod pod_template;
mod report;
mod run;
mod secret;
mod status;

use std::process::ExitCode;

use clap::Parser;

/// Without the lines in which the client repeats each failure that is reported here with its meaning,
/// and without the controller's own spans: each line names its database.
const LOG_FILTER: &str = "info,kube_client=off,kube_runtime=warn";

fn main() -> ExitCode {
    let options = options::Options::parse();
    pgops_kube::logging::init(options.log_format, LOG_FILTER);
    match run::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
