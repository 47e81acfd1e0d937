//! The server: its configuration, its start, and its end.

use std::fs;
use std::future::Future;
use std::io;
use std::path::Path;
use std::time::Duration;

use pgops_api::postgres::ClientAuthMode;
use pgops_api::serverconf;
use rustix::process::Signal;

use crate::interlock::Interlock;
use crate::programs::{self, Programs};
use crate::reaper::{Exit, Process, Reaper};
use crate::volume::{FileError, Volume};

/// Why there is no server, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The server could not be started.
    #[error("failed to start the server")]
    Start(#[source] io::Error),
    /// The server ended and nobody had told it to; its own words stand in the log.
    #[error("the server ended by itself with {0}; its own words stand in the log above")]
    Ended(Exit),
    /// The server did not shut down cleanly.
    #[error("the server did not shut down cleanly, but ended with {0}; it recovers at its next start")]
    Unclean(Exit),
}

/// Writes the configuration and starts the server under the interlock.
///
/// The caller holds the interlock; the server inherits it, see [`Interlock::inheritable`].
pub fn start(
    volume: &Volume,
    interlock: &Interlock,
    programs: &Programs,
    mode: Option<ClientAuthMode>,
    run_dir: &Path,
    reaper: &Reaper,
) -> Result<Process, ServerError> {
    let major = programs.version.major;
    volume.ready(major)?;
    let data = volume.data(major);
    let write = |name: &str, text: String| {
        let path = run_dir.join(name);
        fs::write(&path, text).map_err(FileError::on("write", &path)).map(|()| path)
    };
    let settings = [
        ("config_file", write("postgresql.conf", serverconf::postgresql_conf(&data))?),
        ("hba_file", write("pg_hba.conf", serverconf::pg_hba(mode))?),
        ("ident_file", data.join("pg_ident.conf")),
    ];
    let mut command = programs.command("postgres");
    command.arg("-D").arg(&data).envs(programs::server_environment(std::env::vars_os()));
    for (name, path) in settings {
        command.arg("-c").arg(format!("{name}={}", path.display()));
    }
    let inherited = interlock.inheritable().map_err(|error| ServerError::Start(error.into()))?;
    let process = reaper.spawn(&mut command).map_err(ServerError::Start)?;
    drop(inherited);
    Ok(process)
}

/// Stops the server: fast, and at once when `hurry` comes or `grace` is nearly over.
///
/// A fast shutdown writes a checkpoint, so that the next start, or `pg_upgrade`, finds a clean state.
/// An immediate one loses nothing either, but must be recovered from.
pub async fn stop(
    mut server: Process,
    grace: Duration,
    hurry: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    server.signal(Signal::INT);
    let why = tokio::select! {
        exit = server.wait() => {
            return if exit.success() { Ok(()) } else { Err(ServerError::Unclean(exit)) };
        }
        () = hurry => "it was told to stop a second time",
        () = tokio::time::sleep(patience(grace)) => "the grace period is nearly over",
    };
    tracing::warn!(why, "stopping the server at once");
    server.signal(Signal::QUIT);
    Err(ServerError::Unclean(server.wait().await))
}

/// How long a fast shutdown may take: what is left of the grace period is for the immediate one.
fn patience(grace: Duration) -> Duration {
    grace.saturating_sub(Duration::from_secs(10)).max(grace / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn leaves_time_for_an_immediate_shutdown() {
        let patience = |seconds| super::patience(Duration::from_secs(seconds)).as_secs_f32();
        assert!((patience(300) - 290.0).abs() < 0.1);
        assert!((patience(8) - 4.0).abs() < 0.1);
    }

    fn server(reaper: &Reaper, script: &str) -> Process {
        let ready = tempfile::tempdir().unwrap();
        let flag = ready.path().join("ready");
        let script = format!("{script}; touch {}; while :; do sleep 0.05; done", flag.display());
        let process = reaper.spawn(Command::new("sh").args(["-c", &script])).unwrap();
        while !flag.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        process
    }

    #[tokio::test]
    async fn a_clean_stop_is_a_fast_shutdown_that_succeeds() {
        let reaper = Reaper::start().unwrap();
        let clean = server(&reaper, "trap 'exit 0' INT");
        stop(clean, Duration::from_mins(1), std::future::pending()).await.unwrap();
        let unclean = server(&reaper, "trap 'exit 3' INT");
        let error = stop(unclean, Duration::from_mins(1), std::future::pending()).await.unwrap_err();
        assert!(matches!(error, ServerError::Unclean(Exit::Status(3))), "{error}");
    }

    #[tokio::test]
    async fn does_not_wait_for_the_kubelet_to_kill_it() {
        let reaper = Reaper::start().unwrap();
        let stubborn = server(&reaper, "trap '' INT; trap 'exit 2' QUIT");
        let error = stop(stubborn, Duration::from_millis(200), std::future::pending()).await.unwrap_err();
        assert!(matches!(error, ServerError::Unclean(Exit::Status(2))), "{error}");
        let stubborn = server(&reaper, "trap '' INT; trap 'exit 2' QUIT");
        let error = stop(stubborn, Duration::from_mins(1), std::future::ready(())).await.unwrap_err();
        assert!(matches!(error, ServerError::Unclean(Exit::Status(2))), "{error}");
    }
}
