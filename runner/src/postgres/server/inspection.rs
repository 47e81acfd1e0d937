//! A private server on a cluster that `pg_upgrade` has just filled, to examine it before any client is let in.
//!
//! It runs in binary upgrade mode, in which no background worker writes: neither autovacuum nor a subscription's worker.
//! It is only asked to read the system catalogs, and to grant roles to roles: the files of these are the new cluster's own in
//! every transfer mode, so the data of the old cluster stays untouched even if it is linked. It syncs nothing, so the cluster
//! must be synced afterwards.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pgops_volume::Interlock;
use tokio_postgres::Client;

use super::private_server::{Data, PrivateServer, private_hba};
use super::server_log::last_error;
use super::socket::ServerSocket;
use crate::agent::AgentError;
use crate::postgres::client::error::ServerError;
use crate::postgres::program::command::CommandError;
use crate::postgres::program::programs::Programs;
use crate::postgres::redact::redact;
use crate::postgres::server_settings::ServerSettings;

/// The server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("failed to prepare a private server on the new data")]
    Agent(#[from] AgentError),
    #[error("failed to pass the interlock to the new server")]
    Interlock(#[source] io::Error),
    #[error("failed to connect to a private server on the new data for {} s after its start", START_LIMIT.as_secs())]
    NotReady(#[source] ServerError),
    #[error("a private server on the new data does not start: {0}")]
    DoesNotStart(String),
}

/// A server that was shut down cleanly starts in a fraction of a second.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How often it is tried. `pg_ctl` itself looks ten times a second, which would lengthen the outage.
const INTERVAL: Duration = Duration::from_millis(5);
/// How often it is looked whether it has ended, as on a full volume.
const LOG_INTERVAL: Duration = Duration::from_millis(500);

/// How long a session lasts at most.
const SESSION_TIME: Duration = Duration::from_mins(5);

/// A running private server.
pub struct Inspection<'a> {
    programs: &'a Programs,
    pgdata: &'a Path,
    socket: ServerSocket,
    user: &'a str,
    log: PathBuf,
}

impl<'a> Inspection<'a> {
    /// Starts a server of `major` on `pgdata`, with its socket in `socket_dir` and its log in `scratch`. `user` is the role
    /// that `initdb` has created. Nothing else runs in the container any more.
    pub async fn start(
        programs: &'a Programs,
        pgdata: &'a Path,
        major: u32,
        user: &'a str,
        settings: &ServerSettings,
        (scratch, socket_dir): (&Path, &Path),
        interlock: &Interlock,
    ) -> Result<Self, InspectionError> {
        let hba = private_hba(&programs.agent, scratch).await?;
        let socket = ServerSocket::new(&programs.agent, socket_dir, major, SESSION_TIME);
        let log = scratch.join("inspection.log");
        // An earlier server may have ended with an error.
        programs.agent.write_file(log.clone(), String::new()).await?;
        let inspection = Self { programs, pgdata, socket, user, log };
        let server = PrivateServer { major, data: Data::New, relations: 0, hba: &hba, settings };
        let mut options = server.options();
        options.set("listen_addresses", "").set("max_logical_replication_workers", "0");
        // The cluster is synced after it has stopped: syncing its checkpoint too would lengthen the outage.
        options.set("fsync", "off");
        options.set("unix_socket_directories", socket_dir.display().to_string());
        let start = programs.program("pg_ctl").args(["-W", "-s", "-D"]).path(pgdata);
        let start = start.arg("-l").path(&inspection.log).arg("-o").arg(format!("-b {options}")).arg("start");
        start.holding(interlock).map_err(InspectionError::Interlock)?.output().await?;
        inspection.wait_until_ready().await?;
        Ok(inspection)
    }

    /// A session in one of its databases.
    pub async fn connect(&self, database: &str) -> Result<Client, ServerError> {
        self.socket.connect(database, self.user).await
    }

    async fn wait_until_ready(&self) -> Result<(), InspectionError> {
        let began = Instant::now();
        let mut looked = began;
        loop {
            match self.connect("template1").await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_lost() || began.elapsed() > START_LIMIT => {
                    return Err(InspectionError::NotReady(error));
                }
                Err(_) if looked.elapsed() >= LOG_INTERVAL => {
                    self.ensure_no_error().await?;
                    looked = Instant::now();
                }
                Err(_) => tokio::time::sleep(INTERVAL).await,
            }
        }
    }

    /// Fails if it has logged an error. `pg_ctl` does not wait for it, and it would be waited for in vain.
    async fn ensure_no_error(&self) -> Result<(), InspectionError> {
        let log = self.programs.agent.read_file(self.log.clone()).await?;
        last_error(&log).map_or(Ok(()), |error| Err(InspectionError::DoesNotStart(redact(error))))
    }

    /// Shuts it down.
    pub async fn stop(self) -> Result<(), InspectionError> {
        Ok(self.programs.agent.stop_server(self.pgdata.to_owned()).await?)
    }
}
