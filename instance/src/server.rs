//! The server: configuration, start and stop.

mod configuration;

use std::future::Future;
use std::io;
use std::time::Duration;

use pgops_api::serverconf;
use pgops_volume::{FileError, Interlock, Tree, Volume};
use rustix::process::Signal;

use crate::environment;
use crate::programs::Programs;
use crate::reaper::{Exit, Process, Reaper};
use crate::volume::prepare_for_start;
use configuration::SETTINGS;
pub use configuration::{Configuration, replace_settings, settings_path, write};

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

/// Writes the configuration and starts the server under the interlock.
///
/// The caller holds the interlock; the server inherits it, see [`Interlock::inheritable_fd`].
pub fn start(
    volume: &Volume,
    interlock: &Interlock,
    programs: &Programs,
    configuration: &Configuration,
    run_dir: &Tree,
    reaper: &Reaper,
) -> Result<Process, ServerError> {
    let major = programs.version.major;
    prepare_for_start(volume, major)?;
    let data = volume.data_dir(major);
    let hba = serverconf::pg_hba(configuration.client_auth_mode, configuration.tls);
    let settings = [
        ("config_file", write(run_dir, SETTINGS, &configuration.settings(&data, major))?),
        ("hba_file", write(run_dir, "pg_hba.conf", &hba)?),
        ("ident_file", data.join("pg_ident.conf")),
        // Otherwise a user's settings could name the data of another version.
        ("data_directory", data.clone()),
    ];
    let mut command = programs.command("postgres");
    command.arg("-D").arg(&data).envs(environment::server(std::env::vars_os()));
    for (name, path) in settings {
        command.arg("-c").arg(format!("{name}={}", path.display()));
    }
    let inherited = interlock.inheritable_fd().map_err(ServerError::Start)?;
    let process = reaper.spawn(&mut command).map_err(ServerError::Start)?;
    drop(inherited);
    Ok(process)
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
fn fast_shutdown_timeout(grace: Duration) -> Duration {
    grace.saturating_sub(Duration::from_secs(10)).max(grace / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

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
