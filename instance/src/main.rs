//! `pgops-instance`: PID 1 of a database pod.
//!
//! It initialises a database once, starts its server, stops it cleanly and says whether it answers.
//! It is one static binary that runs inside any database image and needs no other tool there.

mod boot;
mod cluster;
mod credentials;
mod health;
mod initdb;
mod install;
mod interlock;
mod options;
mod programs;
mod reaper;
mod retired;
mod run;
mod server;
mod stage;
mod volume;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// PID 1 of a database pod.
#[derive(Parser)]
#[command(name = "pgops-instance", version)]
enum Command {
    /// Copies this program to a directory and writes a passwd file: the init container's work.
    Install(install::Options),
    /// Runs the database of this pod until it is told to stop.
    Run(options::Options),
}

/// Without the lines in which the client repeats each failure that is reported here with its meaning.
const FILTER: &str = "info,kube_client=off";

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_ansi(false).init();
    let done = match Command::parse() {
        Command::Install(options) => install::install(&options).map_err(anyhow::Error::from),
        Command::Run(options) => run::run(options).map_err(anyhow::Error::from),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
