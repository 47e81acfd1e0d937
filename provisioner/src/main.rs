//! `pgops-provisioner`: turns each `Postgres` into the objects that run it, and reports its status.

mod announcement;
mod apply;
mod ask_if_due;
mod ask_next_pod;
mod build;
mod build_error;
mod builds;
mod catalog;
mod certificates;
mod check_pod;
mod check_state;
mod children;
mod claims;
mod condition_types;
mod context;
mod controller;
mod day_two;
mod deletion;
mod design;
mod dry_runs;
mod expand;
mod expansion;
mod field_managers;
mod finalizer;
#[cfg(test)]
mod fixtures;
mod health;
mod holder;
mod image;
mod instance;
mod lost_children;
mod member_pods;
mod members;
mod metadata_patch;
mod metrics;
mod next_pod;
mod observation;
mod observe;
mod options;
mod pauses;
mod pod_deletion;
mod pod_retry;
mod remove;
mod report;
mod restart;
mod rewritten_image;
mod run;
mod secret;
mod settings_check;
mod standby_certificate;
mod standby_secret;
mod status;
mod unready;
mod volume_hold;
mod volume_risk;

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
