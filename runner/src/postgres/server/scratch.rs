//! A server of the target version without data, for trying things out before the database is stopped.
//!
//! It lives in the worker's own file system, answers on a unix socket alone, and runs as `pg_upgrade`
//! runs the new server: in binary upgrade mode. That mode is also what keeps it quiet: subscriptions
//! that are restored into it start no worker, or it would take changes away from the real one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio_postgres::Client;

use crate::postgres::client::session::{SESSION_SETTINGS, ServerError, connect};
use crate::postgres::pg_upgrade::PgUpgradeError;
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::initdb::{ClusterShape, initdb};
use crate::postgres::program::installation::Installation;
use crate::postgres::server::leftover;
use crate::postgres::server::private_server::{Data, private_hba, server_options};

/// The server could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// A program failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Its surroundings could not be prepared.
    #[error(transparent)]
    Prepare(#[from] PgUpgradeError),
    /// Its directory could not be made or removed.
    #[error("failed to make or remove the scratch server in {path}: is there room in the worker's /tmp?")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// A scratch server. It runs until it is stopped.
pub struct Scratch {
    directory: PathBuf,
    installation: Installation,
    user: String,
}

impl Scratch {
    /// Initialises one in `directory`, where an earlier one is removed first.
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
        // Large segments would only take room, and checksums time.
        let shape = ClusterShape { wal_segment_bytes: 16 << 20, checksums: false, ..shape.clone() };
        initdb(installation, &scratch.pgdata(), &shape).await?;
        Ok(scratch)
    }

    /// Starts it, with room for a database of so many relations.
    pub async fn start(&self, major: u32, relations: u64) -> Result<(), ScratchError> {
        let hba = private_hba(&self.directory)?;
        let options = format!(
            "-b {} -c listen_addresses= -c unix_socket_directories={} -c fsync=off -c shared_buffers=32MB \
             -c min_wal_size=32MB -c max_wal_size=64MB -c max_logical_replication_workers=0",
            server_options(major, relations, &hba, Data::New),
            self.host()
        );
        let start = Program::new(self.installation.program("pg_ctl")).arg("-D").arg(self.pgdata());
        let start = start.args(["-w", "-s", "-l"]).arg(self.directory.join("log")).arg("-o").arg(options);
        Ok(start.arg("start").output().await.map(drop)?)
    }

    /// Stops it, if it runs, and removes all of it.
    pub async fn remove(&self) -> Result<(), ScratchError> {
        leftover::stop_server(&self.pgdata()).await.map_err(self.failed())?;
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed()(error)),
            _ => Ok(()),
        }
    }

    /// Its data directory.
    #[must_use]
    pub fn pgdata(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// A file beside its data.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The directory of its socket, where clients take a host.
    #[must_use]
    pub fn host(&self) -> String {
        self.directory.display().to_string()
    }

    /// One of the target's client programs, connected to it.
    #[must_use]
    pub fn client(&self, name: &str) -> Program {
        Program::new(self.installation.program(name))
            .env("PGHOST", &self.host())
            .env("PGUSER", &self.user)
            .env("PGOPTIONS", &format!("-c client_min_messages=error {SESSION_SETTINGS}"))
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
