//! The server: configuration, start and stop.

mod configuration;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pgops_volume::{FileError, Tree, Volume};
use rustix::process::Signal;

use crate::environment;
use crate::gate::{self, Gated};
use crate::reaper::{Exit, Process, Reaper};
pub use configuration::{Configuration, HBA, SETTINGS, Servers, replace_settings, settings_path, write};

/// Why the server does not run, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("failed to start the server")]
    Start(#[source] io::Error),
    /// The server ended without having been asked to stop.
    #[error("the server ended unexpectedly with {0}; see its output above")]
    Ended(Exit),
    /// It ended because of its settings.
    #[error(
        "the server does not start with its settings; correct user.conf of the configSecret, or spec.configuration of the \
         Postgres: {0}"
    )]
    Settings(String),
    #[error("the server did not shut down cleanly: it ended with {0}; the next start recovers it")]
    Unclean(Exit),
}

/// The files of a server that are written for each container.
pub struct Files {
    pub settings: PathBuf,
    hba: PathBuf,
}

/// Writes the configuration.
pub fn configure(
    volume: &Volume,
    major: u32,
    configuration: &Configuration,
    run_dir: &Tree,
) -> Result<Files, FileError> {
    let settings = configuration.settings(&volume.data_dir(major), major);
    Ok(Files {
        settings: write(run_dir, SETTINGS, &settings)?,
        hba: write(run_dir, HBA, &configuration.hba())?,
    })
}

/// Starts the server, which gets the interlock by the [gate].
pub fn start(data: &Path, files: &Files, run_dir: &Tree, reaper: &Reaper) -> Result<Process, ServerError> {
    let mut command = Command::new(run_dir.root().join(gate::BIN_DIR).join(Gated::Postgres.name()));
    command.env_clear().envs(environment::server(std::env::vars_os())).stdin(Stdio::null());
    command.arg("-D").arg(data);
    let ident = data.join("pg_ident.conf");
    for (name, path) in [("config_file", &files.settings), ("hba_file", &files.hba), ("ident_file", &ident)] {
        command.arg("-c").arg(format!("{name}={}", path.display()));
    }
    reaper.spawn(&mut command).map_err(ServerError::Start)
}

/// Stops the server by a fast shutdown, and by an immediate one when `hurry` completes or `grace` is nearly over.
///
/// A fast shutdown writes a checkpoint, so that the next start, or `pg_upgrade`, finds a clean state.
/// An immediate one loses nothing either, but requires recovery.
pub async fn stop(
    mut server: Process,
    grace: Duration,
    hurry: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    server.signal(Signal::INT);
    let reason = tokio::select! {
        exit = server.wait() => {
            return if exit.success() { Ok(()) } else { Err(ServerError::Unclean(exit)) };
        }
        () = hurry => "received a second termination signal",
        () = tokio::time::sleep(fast_shutdown_timeout(grace)) => "the grace period is nearly over",
    };
    tracing::warn!(reason, "stopping the server by an immediate shutdown");
    server.signal(Signal::QUIT);
    Err(ServerError::Unclean(server.wait().await))
}

/// Timeout of the fast shutdown: the rest of the grace period is for the immediate one.
pub fn fast_shutdown_timeout(grace: Duration) -> Duration {
    grace.saturating_sub(Duration::from_secs(10)).max(grace / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_shutdown_leaves_time_for_an_immediate_one() {
        let timeout = |seconds| fast_shutdown_timeout(Duration::from_secs(seconds)).as_secs_f32();
        assert!((timeout(300) - 290.0).abs() < 0.1);
        assert!((timeout(8) - 4.0).abs() < 0.1);
    }

    fn server(reaper: &Reaper, script: &str) -> Process {
        let ready = tempfile::tempdir().unwrap();
        let flag = ready.path().join("ready");
        let script = format!("{script}; touch {}; while :; do sleep 0.05; done", flag.display());
        // A shell cannot trap what it was started to ignore, and the tests may run in the background of one that ignores
        // these signals for its jobs.
        let mut command = Command::new("env");
        let process = reaper.spawn(command.args(["--default-signal=INT,QUIT", "sh", "-c", &script])).unwrap();
        while !flag.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        process
    }

    #[tokio::test]
    async fn stop_is_clean_if_the_fast_shutdown_succeeds() {
        let reaper = Reaper::start().unwrap();
        let clean = server(&reaper, "trap 'exit 0' INT");
        stop(clean, Duration::from_mins(1), std::future::pending()).await.unwrap();
        let unclean = server(&reaper, "trap 'exit 3' INT");
        let error = stop(unclean, Duration::from_mins(1), std::future::pending()).await.unwrap_err();
        assert!(matches!(error, ServerError::Unclean(Exit::Status(3))), "{error}");
    }

    #[tokio::test]
    async fn stop_turns_immediate_before_the_kubelet_kills_the_server() {
        let reaper = Reaper::start().unwrap();
        let stubborn = server(&reaper, "trap '' INT; trap 'exit 2' QUIT");
        let error = stop(stubborn, Duration::from_millis(200), std::future::pending()).await.unwrap_err();
        assert!(matches!(error, ServerError::Unclean(Exit::Status(2))), "{error}");
        let stubborn = server(&reaper, "trap '' INT; trap 'exit 2' QUIT");
        let error = stop(stubborn, Duration::from_mins(1), std::future::ready(())).await.unwrap_err();
        assert!(matches!(error, ServerError::Unclean(Exit::Status(2))), "{error}");
    }
}
