//! `pgops-instance`: PID 1 of a database pod.
//!
//! It initialises a database once, starts its server, stops it cleanly and reports whether it answers.
//! It is one static binary that runs in any database image and needs no other program there. Under the name of a program of
//! `PostgreSQL` it is the client of its own [gate].

mod boot;
mod check_settings;
mod claim;
mod clone;
mod cluster;
mod credentials;
mod environment;
mod error;
#[cfg(test)]
mod fixtures;
mod gate;
mod ha;
mod health;
mod initdb;
mod install;
mod lifecycle;
mod metrics;
mod mounted_settings;
mod options;
mod programs;
mod reaper;
mod reclone;
mod replacement;
mod report;
mod retired;
mod rotation;
mod run;
mod secrets;
mod server;
mod serving;
mod session;
mod settings;
mod stage;
mod tls;
mod unlogged;
mod volume;
mod watchdog;

use std::process::ExitCode;

use check_settings::Outcome;
use clap::Parser;
use pgops_api::settings::REJECTED_STATUS;
use pgops_kube::logging;

/// PID 1 of a database pod.
#[derive(Parser)]
#[command(name = "pgops-instance", version)]
enum Command {
    /// Copies this program to a directory and writes a passwd file: the work of the init container.
    Install(install::Options),
    /// Says whether a server would start with the mounted settings: exit status 3 if not.
    CheckSettings(check_settings::Options),
    /// Runs the database of this pod until it is asked to stop.
    Run(options::Options),
    /// Clones another server of the database: Patroni calls it in a pod whose volume has no data.
    Clone(clone::Options),
}

/// Without the lines in which the client repeats each failure that is reported here with its meaning.
const LOG_FILTER: &str = "info,kube_client=off";

fn main() -> ExitCode {
    // First of all, since a server starts this way: with neither a log nor a runtime.
    if let Some(program) = gate::client::called_as(std::env::args_os().next().as_deref()) {
        return gate::client::run(program, std::env::args_os());
    }
    tracing_subscriber::fmt()
        .with_env_filter(logging::filter(LOG_FILTER))
        .with_target(false)
        .with_ansi(false)
        .init();
    let result = match Command::parse() {
        Command::Install(options) => {
            install::install(&options).map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from)
        }
        Command::CheckSettings(options) => {
            check_settings::run(&options).map(exit_code).map_err(anyhow::Error::from)
        }
        Command::Run(options) => run::run(options).map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from),
        // Its failure is not the end of the container.
        Command::Clone(options) => Ok(clone::run(&options)),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            let text = format!("{error:#}");
            tracing::error!("{text}");
            write_termination_message(&text);
            ExitCode::FAILURE
        }
    }
}

/// Reports what became of a check of settings.
fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Accepted => ExitCode::SUCCESS,
        Outcome::Rejected(words) => {
            tracing::warn!("the server would not start with these settings: {words}");
            write_termination_message(&words);
            ExitCode::from(REJECTED_STATUS)
        }
        // Not a success, which would be taken for an accepted check.
        Outcome::Stopped => ExitCode::FAILURE,
    }
}

/// The message that `kubectl describe pod` shows for this container's end. The end of its log, which the kubelet would
/// show otherwise, has statements and rows of users: more people may read pods than logs.
fn write_termination_message(text: &str) {
    // Outside a pod the file does not exist, and nothing would read it.
    if let Err(error) = std::fs::write("/dev/termination-log", text) {
        tracing::debug!("failed to write the termination message: {error}");
    }
}
