//! Brings a data directory to a clean shutdown, whatever happened to its last server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::postgres::interlock::Interlock;
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::controldata::{ControlData, SHUT_DOWN};
use crate::postgres::program::installation::Installation;

/// The data is not in a state that `pg_upgrade` may begin from.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// A program failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The interlock could not be handed on.
    #[error("failed to hand the interlock to the old server")]
    Interlock(#[source] io::Error),
    /// A file could not be removed.
    #[error("failed to remove {path}, left by a server that is gone")]
    StalePid {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The last shutdown was not clean, and a start and stop did not help.
    #[error(
        "the data in {pgdata} is \"{state}\", not \"shut down\": it may be a standby's; \
         let the old version run and stop once, then apply a new request"
    )]
    NotClean {
        /// The data directory.
        pgdata: PathBuf,
        /// What `pg_controldata` says.
        state: String,
    },
}

/// Proves that `pgdata` was shut down cleanly; recovers it by a start and a stop where it was not.
///
/// `options` gives those of the server. The caller holds the interlock, so a postmaster.pid is stale: its pid belongs to another pid
/// namespace, and `pg_upgrade` would take a process with that number here for a live server.
pub async fn ensure_clean(
    installation: &Installation,
    pgdata: &Path,
    options: impl Fn(&ControlData) -> String,
    interlock: &Interlock,
) -> Result<ControlData, RecoveryError> {
    let pid_file = pgdata.join("postmaster.pid");
    match fs::remove_file(&pid_file) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(RecoveryError::StalePid { path: pid_file, source });
        }
        _ => {}
    }
    let data = ControlData::read(installation, pgdata).await?;
    if data.state() == SHUT_DOWN {
        return Ok(data);
    }
    tracing::warn!(
        state = data.state(),
        "the last shutdown was not clean: starting the old server once to recover"
    );
    let pg_ctl = || {
        let program = Program::new(installation.program("pg_ctl")).arg("-D").arg(pgdata);
        program.args(["-w", "-s", "-l", "/tmp/recovery.log"])
    };
    let start = pg_ctl().holding(interlock).map_err(RecoveryError::Interlock)?;
    start.arg("-o").arg(options(&data)).arg("start").output().await?;
    pg_ctl().args(["-m", "fast", "stop"]).output().await?;
    let data = ControlData::read(installation, pgdata).await?;
    if data.state() == SHUT_DOWN {
        return Ok(data);
    }
    Err(RecoveryError::NotClean { pgdata: pgdata.to_owned(), state: data.state().to_owned() })
}
