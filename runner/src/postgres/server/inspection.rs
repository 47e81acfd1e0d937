//! A private server on a cluster that `pg_upgrade` has just filled, to read its catalogs before any client is let in.
//!
//! It runs in binary upgrade mode, in which no background worker writes: neither autovacuum nor a subscription's worker.
//! It is only asked to read the system catalogs, whose files are the new cluster's own in every transfer mode, so the data
//! of the old cluster stays untouched even if it is linked.

use std::io;
use std::path::{Path, PathBuf};

use pgops_volume::{FileError, Interlock, replace};
use tokio_postgres::Client;

use super::private_server::{Data, PrivateServerError, private_hba, server_options};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::session::connect;
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::installation::Installation;

/// The server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    PrivateServer(#[from] PrivateServerError),
    #[error("failed to pass the interlock to the new server")]
    Interlock(#[source] io::Error),
}

/// A running private server.
pub struct Inspection<'a> {
    installation: &'a Installation,
    pgdata: &'a Path,
    /// The directory of its socket.
    host: PathBuf,
    user: &'a str,
}

impl<'a> Inspection<'a> {
    /// Starts a server of `major` on `pgdata`. `user` is the role that `initdb` has created.
    pub async fn start(
        installation: &'a Installation,
        pgdata: &'a Path,
        major: u32,
        user: &'a str,
        directory: &Path,
        interlock: &Interlock,
    ) -> Result<Self, InspectionError> {
        // Code that a restore has run may have stored settings there. The old cluster's come later.
        replace(&pgdata.join("postgresql.auto.conf"), b"")?;
        let hba = private_hba(directory)?;
        let inspection = Self { installation, pgdata, host: directory.to_owned(), user };
        let options = format!(
            "-b {} -c listen_addresses= -c unix_socket_directories={} -c max_logical_replication_workers=0",
            server_options(major, 0, &hba, Data::New),
            directory.display()
        );
        let start = inspection.pg_ctl(interlock)?.arg("-l").arg(directory.join("inspection.log"));
        start.arg("-o").arg(options).arg("start").output().await?;
        Ok(inspection)
    }

    /// A session in one of its databases.
    pub async fn connect(&self, database: &str) -> Result<Client, ServerError> {
        connect(&self.host.display().to_string(), database, self.user, None).await
    }

    /// Shuts it down cleanly.
    pub async fn stop(self, interlock: &Interlock) -> Result<(), InspectionError> {
        self.pg_ctl(interlock)?.args(["-m", "fast", "stop"]).output().await?;
        Ok(())
    }

    fn pg_ctl(&self, interlock: &Interlock) -> Result<Program, InspectionError> {
        let program = Program::new(self.installation.program("pg_ctl")).arg("-D").arg(self.pgdata);
        program.args(["-w", "-s"]).holding(interlock).map_err(InspectionError::Interlock)
    }
}
