//! A private server on a cluster that `pg_upgrade` has just filled, to read its catalogs before any client is let in.
//!
//! It runs in binary upgrade mode, in which no background worker writes: neither autovacuum nor a subscription's worker.
//! It is only asked to read the system catalogs, whose files are the new cluster's own in every transfer mode, so the data
//! of the old cluster stays untouched even if it is linked.

use std::io;
use std::path::Path;

use pgops_volume::Interlock;
use tokio_postgres::Client;

use super::private_server::{Data, private_hba, server_options};
use crate::agent::AgentError;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::session::connect_socket;
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::programs::Programs;

/// The server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("failed to prepare a private server on the new data")]
    Agent(#[from] AgentError),
    #[error("failed to pass the interlock to the new server")]
    Interlock(#[source] io::Error),
}

/// A running private server.
pub struct Inspection<'a> {
    programs: &'a Programs,
    pgdata: &'a Path,
    /// Directory of its socket, which the runner can reach too.
    socket_dir: &'a Path,
    user: &'a str,
}

impl<'a> Inspection<'a> {
    /// Starts a server of `major` on `pgdata`, with its socket in `socket_dir` and its log in `scratch`. `user` is the role
    /// that `initdb` has created.
    pub async fn start(
        programs: &'a Programs,
        pgdata: &'a Path,
        major: u32,
        user: &'a str,
        (scratch, socket_dir): (&Path, &'a Path),
        interlock: &Interlock,
    ) -> Result<Self, InspectionError> {
        let hba = private_hba(&programs.agent, scratch).await?;
        let inspection = Self { programs, pgdata, socket_dir, user };
        let options = format!(
            "-b {} -c listen_addresses= -c unix_socket_directories={} -c max_logical_replication_workers=0",
            server_options(major, 0, &hba, Data::New),
            socket_dir.display()
        );
        let start = inspection.pg_ctl(interlock)?.arg("-l").path(&scratch.join("inspection.log"));
        start.arg("-o").arg(options).arg("start").output().await?;
        Ok(inspection)
    }

    /// A session in one of its databases.
    pub async fn connect(&self, database: &str) -> Result<Client, ServerError> {
        connect_socket(self.socket_dir, database, self.user).await
    }

    /// Shuts it down cleanly.
    pub async fn stop(self, interlock: &Interlock) -> Result<(), InspectionError> {
        self.pg_ctl(interlock)?.args(["-m", "fast", "stop"]).output().await?;
        Ok(())
    }

    fn pg_ctl(&self, interlock: &Interlock) -> Result<Program, InspectionError> {
        let program = self.programs.program("pg_ctl").arg("-D").path(self.pgdata);
        program.args(["-w", "-s"]).holding(interlock).map_err(InspectionError::Interlock)
    }
}
