//! `pgops-instance clone`: how Patroni has the data of a server created that has none, or that is to be cloned again
//! (`create_replica_methods`).
//!
//! `pg_basebackup` writes to a directory of its own, and PID 1 makes that the data directory once it is complete. So a clone that is
//! killed at any moment never is a database, and data that exists is never written to: PID 1 renames it.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use pgops_api::{display_chain, layout};
use pgops_kube::shutdown::StopSignals;
use pgops_volume::Volume;

use crate::gate::client::{self, ClientError};
use crate::gate::{BIN_DIR, CloneStep, Gated};
use crate::options::DataDirectory;
use crate::volume::new_data_dir;

/// Pause between two looks at the program.
const PAUSE: Duration = Duration::from_millis(100);

/// The options of `pgops-instance clone`, as Patroni passes them.
#[derive(clap::Args)]
pub struct Options {
    /// Patroni's scope.
    #[arg(long, value_name = "NAME")]
    scope: String,
    /// What the server is to be; Patroni always says `replica`.
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    datadir: DataDirectory,
    /// The server to clone. Its password is in the file that `PGPASSFILE` names.
    #[arg(long, value_name = "CONNINFO")]
    connstring: String,
    /// That Patroni removes no data. It passes on what is in its configuration.
    #[arg(long = "keep_data", value_name = "True")]
    keep_data: String,
}

/// Why there is no clone.
#[derive(Debug, thiserror::Error)]
enum CloneError {
    #[error(
        "failed to clone: Patroni would remove the data directory after a failure; set keep_data in its configuration"
    )]
    RemovesData,
    #[error(transparent)]
    Gate(#[from] ClientError),
    #[error("failed to listen for signals")]
    Signals(#[source] io::Error),
    #[error("failed to run pg_basebackup")]
    Run(#[from] io::Error),
    #[error("failed to clone: pg_basebackup ended with {0}; see its output above")]
    Failed(ExitStatus),
    #[error("the clone was stopped, and begins again with the next attempt")]
    Stopped,
}

/// Clones. Patroni tries again after a failure.
#[tokio::main(flavor = "current_thread")]
pub async fn run(options: &Options) -> ExitCode {
    match clone(options, Path::new(layout::RUN_DIR), &Volume::at(layout::VOLUME_ROOT)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", display_chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn clone(options: &Options, run_dir: &Path, volume: &Volume) -> Result<(), CloneError> {
    if options.keep_data != "True" {
        return Err(CloneError::RemovesData);
    }
    let mut stop_signals = StopSignals::listen().map_err(CloneError::Signals)?;
    client::perform(run_dir, CloneStep::Prepare)?;
    let target = new_data_dir(volume, options.datadir.major);
    tracing::info!(scope = options.scope, role = options.role, source = options.connstring, "cloning");
    let mut program = command(run_dir, &target, &options.connstring).spawn()?;
    let exit = tokio::select! {
        exit = ended(&mut program) => exit?,
        () = stop_signals.recv() => {
            // Otherwise it would run on, and no other clone could begin.
            program.kill()?;
            program.wait()?;
            return Err(CloneError::Stopped);
        }
    };
    if !exit.success() {
        return Err(CloneError::Failed(exit));
    }
    client::perform(run_dir, CloneStep::Publish)?;
    Ok(())
}

/// With the variables that Patroni has set, among them that of the password file.
fn command(run_dir: &Path, target: &Path, source: &str) -> Command {
    let mut command = Command::new(run_dir.join(BIN_DIR).join(Gated::PgBasebackup.name()));
    command
        .arg(format!("--pgdata={}", target.display()))
        .args(["--wal-method=stream", "--checkpoint=fast", "--no-password"])
        .arg(format!("--dbname={source}"))
        .stdin(Stdio::null());
    command
}

async fn ended(program: &mut Child) -> io::Result<ExitStatus> {
    loop {
        if let Some(exit) = program.try_wait()? {
            return Ok(exit);
        }
        tokio::time::sleep(PAUSE).await;
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

    /// `patroni/postgresql/bootstrap.py`, `create_replica`.
    const PATRONI: [&str; 6] = [
        "clone",
        "--keep_data=True",
        "--scope=orders-ha-17",
        "--role=replica",
        "--datadir=/var/pv/17/data",
        "--connstring=dbname=postgres user=pgops_replication host=orders-0.orders-pods.demo.svc port=5432",
    ];

    #[test]
    fn options_are_those_that_patroni_passes() {
        let options = Line::try_parse_from(PATRONI).unwrap().options;
        assert_eq!(options.datadir, DataDirectory { major: 17 });
        let volume = Volume::at("/var/pv");
        let target = new_data_dir(&volume, 17);
        let command = command(Path::new("/pgops/run"), &target, &options.connstring);
        assert_eq!(command.get_program(), "/pgops/run/bin/pg_basebackup");
        let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let expected = [
            "--pgdata=/var/pv/17/data.new",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-password",
            "--dbname=dbname=postgres user=pgops_replication host=orders-0.orders-pods.demo.svc port=5432",
        ];
        assert_eq!(arguments, expected);
    }

    #[tokio::test]
    async fn clone_is_not_begun_if_patroni_would_remove_data() {
        let root = tempfile::tempdir().unwrap();
        let line = PATRONI.map(|word| if word == "--keep_data=True" { "--keep_data=False" } else { word });
        let options = Line::try_parse_from(line).unwrap().options;
        let result = clone(&options, root.path(), &Volume::at(root.path())).await;
        assert!(matches!(result, Err(CloneError::RemovesData)));
    }

    #[tokio::test]
    async fn clone_fails_without_a_gate() {
        let root = tempfile::tempdir().unwrap();
        let options = Line::try_parse_from(PATRONI).unwrap().options;
        let result = clone(&options, root.path(), &Volume::at(root.path())).await;
        assert!(matches!(result, Err(CloneError::Gate(_))));
    }
}
