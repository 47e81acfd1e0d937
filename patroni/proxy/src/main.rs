//! `pgops-patroni-proxy`: Patroni's only way to the API server.
//!
//! A superuser of a database can read whatever its container can read, so that container has no token of a service
//! account. This sidecar has it, and passes on what Patroni does to the objects of its own database.
//!
//! Layers, each of which uses only those before it: `name`, `record`, `database`, `call`, `refusal`, `patch` and `decision` (what
//! passes, without I/O), `reduction` and `events` (what is answered), `credentials` and `upstream` (the API server), `log`,
//! `answer` and `exchange` (one connection), `listener`, `health` and `serve`.

mod answer;
mod call;
mod credentials;
mod database;
mod decision;
mod events;
mod exchange;
#[cfg(test)]
mod fixtures;
mod health;
mod install;
mod listener;
mod log;
mod name;
mod options;
mod patch;
mod record;
mod reduction;
mod refusal;
mod serve;
#[cfg(test)]
mod tests;
mod upstream;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Patroni's only way to the API server.
#[derive(Parser)]
#[command(name = "pgops-patroni-proxy", version)]
enum Command {
    /// Copies the Patroni bundle to a directory: the work of the init container.
    Install(install::Options),
    /// Passes on what Patroni does to the objects of its own database, until the pod stops.
    Serve(options::Options),
}

// One thread: it waits for others nearly all of the time, and has little memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = Command::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_ansi(false).init();
    let result = match command {
        Command::Install(options) => install::install(&options).map_err(anyhow::Error::from),
        Command::Serve(options) => serve::run(options).await.map_err(anyhow::Error::from),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{error:#}");
            tracing::error!("{text}");
            // What `kubectl describe pod` shows. Outside a pod the file does not exist, and nothing would read it.
            if let Err(error) = std::fs::write("/dev/termination-log", text) {
                tracing::debug!("failed to write the termination message: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
