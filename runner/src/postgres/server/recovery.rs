//! Brings a data directory to a clean shutdown, however its last server ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pgops_volume::Interlock;

use crate::postgres::program::command::CommandError;
use crate::postgres::program::controldata::{ControlData, SHUT_DOWN};
use crate::postgres::program::programs::Programs;

/// The data is not in a state that `pg_upgrade` accepts.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("failed to pass the interlock to the old server")]
    Interlock(#[source] io::Error),
    #[error("failed to remove {path}, which a server that no longer runs has left")]
    StalePid {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The last shutdown was not clean, and a start and stop did not help.
    #[error(
        "the data in {pgdata} is \"{state}\", not \"shut down\": it may be a standby's; \
         start and stop the old version once, then apply a new request"
    )]
    NotClean {
        pgdata: PathBuf,
        /// The state that `pg_controldata` reports.
        state: String,
    },
}

/// Proves that `pgdata` was shut down cleanly; if it was not, recovers it by a start and a stop.
///
/// `options` returns those of the server. The caller holds the interlock, so a postmaster.pid is stale: its pid belongs
/// to another pid namespace, and `pg_upgrade` would take a process with that number here for a live server.
pub async fn ensure_clean(
    programs: &Programs,
    pgdata: &Path,
    options: impl Fn(&ControlData) -> String,
    interlock: &Interlock,
) -> Result<ControlData, RecoveryError> {
    remove_stale_pid(pgdata)?;
    let data = ControlData::read(programs, pgdata).await?;
    if data.state() == SHUT_DOWN {
        return Ok(data);
    }
    tracing::warn!(
        state = data.state(),
        "the last shutdown was not clean: starting the old server once to recover"
    );
    let pg_ctl = || {
        let program = programs.program("pg_ctl").arg("-D").path(pgdata);
        program.args(["-w", "-s", "-l", "/tmp/recovery.log"])
    };
    let start = pg_ctl().holding(interlock).map_err(RecoveryError::Interlock)?;
    start.arg("-o").arg(options(&data)).arg("start").output().await?;
    pg_ctl().args(["-m", "fast", "stop"]).output().await?;
    let data = ControlData::read(programs, pgdata).await?;
    if data.state() == SHUT_DOWN {
        return Ok(data);
    }
    Err(RecoveryError::NotClean { pgdata: pgdata.to_owned(), state: data.state().to_owned() })
}

fn remove_stale_pid(pgdata: &Path) -> Result<(), RecoveryError> {
    let path = pgdata.join("postmaster.pid");
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(RecoveryError::StalePid { path, source })
        }
        _ => Ok(()),
    }
}
