//! A scratch server: one of the target version without user data, for trying things before the database is stopped.
//!
//! It lives in the worker's own file system, listens on a unix socket only, and runs as `pg_upgrade` runs the new
//! server: in binary upgrade mode. That mode also keeps restored subscriptions from starting a worker, which would
//! take changes away from the real server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio_postgres::Client;

use super::leftover;
use super::private_server::{Data, PrivateServerError, private_hba, server_options};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::session::{SESSION_OPTIONS, connect};
use crate::postgres::cluster_shape::ClusterShape;
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::initdb::initdb;
use crate::postgres::program::installation::Installation;

/// The scratch server could not be created or removed.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    PrivateServer(#[from] PrivateServerError),
    #[error(
        "failed to create or remove the scratch server in {path}: check the free space of the worker's /tmp"
    )]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A scratch server. Once started it runs until it is removed.
pub struct Scratch {
    directory: PathBuf,
    installation: Installation,
    user: String,
}

impl Scratch {
    /// Initialises a cluster in `directory`, after removing an earlier one.
    pub async fn init(
        installation: &Installation,
        directory: &Path,
        shape: &ClusterShape,
    ) -> Result<Self, ScratchError> {
        let scratch = Self {
            directory: directory.to_owned(),
            installation: installation.clone(),
            user: shape.install_user.clone(),
        };
        scratch.remove().await?;
        fs::create_dir_all(directory).map_err(scratch.failed())?;
        // Large segments would only take space, and checksums time.
        let shape = ClusterShape { wal_segment_bytes: 16 << 20, checksums: false, ..shape.clone() };
        initdb(installation, &scratch.pgdata(), &shape).await?;
        Ok(scratch)
    }

    /// Starts it, with enough locks for a database with that number of relations. It counts the calls of functions: what a
    /// restore has called must be known.
    pub async fn start(&self, major: u32, relations: u64) -> Result<(), ScratchError> {
        let hba = private_hba(&self.directory)?;
        let options = format!(
            "-b {} -c listen_addresses= -c unix_socket_directories={} -c fsync=off -c shared_buffers=32MB \
             -c min_wal_size=32MB -c max_wal_size=64MB -c max_logical_replication_workers=0 -c track_functions=all",
            server_options(major, relations, &hba, Data::New),
            self.host()
        );
        let start = Program::new(self.installation.program("pg_ctl")).arg("-D").arg(self.pgdata());
        let start = start.args(["-w", "-s", "-l"]).arg(self.directory.join("log")).arg("-o").arg(options);
        Ok(start.arg("start").output().await.map(drop)?)
    }

    /// Stops it, if it runs, and removes everything.
    pub async fn remove(&self) -> Result<(), ScratchError> {
        leftover::stop_server(&self.pgdata()).await.map_err(self.failed())?;
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed()(error)),
            _ => Ok(()),
        }
    }

    #[must_use]
    pub fn pgdata(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// A file next to its data directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The directory of its socket, which clients take as a host.
    #[must_use]
    pub fn host(&self) -> String {
        self.directory.display().to_string()
    }

    /// A client program of the target version, connected to it.
    #[must_use]
    pub fn client(&self, name: &str) -> Program {
        Program::new(self.installation.program(name))
            .env("PGHOST", &self.host())
            .env("PGUSER", &self.user)
            .env("PGOPTIONS", &format!("-c client_min_messages=error {SESSION_OPTIONS}"))
            .arg("--no-password")
    }

    /// A session in one of its databases.
    pub async fn connect(&self, database: &str) -> Result<Client, ServerError> {
        connect(&self.host(), database, &self.user, None).await
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> ScratchError {
        let path = self.directory.clone();
        move |source| ScratchError::Directory { path, source }
    }
}
