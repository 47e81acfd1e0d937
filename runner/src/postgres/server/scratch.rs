//! A scratch server: one of the target version without user data, for trying things before the database is stopped.
//!
//! It lives in the file system of a worker's container, listens on a unix socket only, and runs as `pg_upgrade` runs the
//! new server: in binary upgrade mode. That mode also keeps restored subscriptions from starting a worker, which would
//! take changes away from the real server; in the usual mode an option does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgops_api::session_options::{SessionKind, session_options};
use pgops_volume::Volume;
use tokio_postgres::Client;

use super::private_server::{Data, PrivateServer, private_hba};
use super::socket::ServerSocket;
use crate::agent::AgentError;
use crate::postgres::client::error::ServerError;
use crate::postgres::cluster_shape::ClusterShape;
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::controldata::ControlData;
use crate::postgres::program::initdb::initdb;
use crate::postgres::program::programs::Programs;
use crate::postgres::server_settings::ServerSettings;

/// The scratch server could not be created or removed.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("failed to create or remove a scratch server; check the free space of the worker's /tmp")]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// How long a session lasts at most: one that compares a large database takes minutes.
const SESSION_TIME: Duration = Duration::from_hours(1);

/// How its server runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    /// As `pg_upgrade` runs the new server. Each new table, view and type needs an OID that was set before.
    BinaryUpgrade,
    /// As any server runs.
    Usual,
}

impl Mode {
    fn option(self) -> &'static str {
        match self {
            Self::BinaryUpgrade => "-b ",
            Self::Usual => "",
        }
    }
}

/// A scratch cluster, and the server that runs on it once it is started.
pub struct Scratch {
    programs: Programs,
    directory: PathBuf,
    /// Directory of its socket, which the runner can reach too.
    socket_dir: PathBuf,
    socket: ServerSocket,
    user: String,
}

impl Scratch {
    /// Initialises a cluster in `directory`, after removing an earlier one.
    pub async fn init(
        programs: &Programs,
        directory: &Path,
        socket_dir: &Path,
        shape: &ClusterShape,
    ) -> Result<Self, ScratchError> {
        let scratch = Self {
            programs: programs.clone(),
            directory: directory.to_owned(),
            socket_dir: socket_dir.to_owned(),
            socket: ServerSocket::new(&programs.agent, socket_dir, programs.major, SESSION_TIME),
            user: shape.install_user.clone(),
        };
        programs.agent.stop_server(scratch.pgdata()).await?;
        programs.agent.empty_directory(directory.to_owned()).await?;
        // Large segments would only take space, and checksums time.
        let shape = ClusterShape { wal_segment_bytes: 16 << 20, checksums: false, ..shape.clone() };
        initdb(programs, &scratch.pgdata(), &shape).await?;
        Ok(scratch)
    }

    /// Starts its server, with enough locks for a database with that number of relations. It counts the calls of functions:
    /// what a restore has called must be known. Nothing that was restored may run meanwhile.
    pub async fn start(
        &self,
        major: u32,
        relations: u64,
        settings: &ServerSettings,
    ) -> Result<(), ScratchError> {
        self.start_in(Mode::BinaryUpgrade, major, relations, settings).await
    }

    /// Starts its server again once databases were restored, in the mode in which scripts of extensions can create objects.
    /// Nothing that was restored may run meanwhile. The options alone keep it from starting workers of subscriptions and autovacuum.
    pub async fn start_as_usual(
        &self,
        major: u32,
        relations: u64,
        settings: &ServerSettings,
    ) -> Result<(), ScratchError> {
        self.start_in(Mode::Usual, major, relations, settings).await
    }

    async fn start_in(
        &self,
        mode: Mode,
        major: u32,
        relations: u64,
        settings: &ServerSettings,
    ) -> Result<(), ScratchError> {
        let hba = private_hba(&self.programs.agent, &self.directory).await?;
        let server = PrivateServer { major, data: Data::New, relations, hba: &hba, settings };
        let mut options = server.options();
        options.set("listen_addresses", "").set("max_logical_replication_workers", "0");
        options.set("unix_socket_directories", self.socket_dir.display().to_string());
        options.set("track_functions", "all").set("min_wal_size", "32MB").set("max_wal_size", "64MB");
        // As pg_upgrade starts the new server, on a cluster as initdb leaves it: a restore takes as long as it will then.
        options.set("shared_buffers", "128MB").set("fsync", "off");
        options.set("synchronous_commit", "off").set("full_page_writes", "off");
        let start = self.programs.program("pg_ctl").arg("-D").path(&self.pgdata());
        let start = start
            .args(["-w", "-s", "-l"])
            .path(&self.log())
            .arg("-o")
            .arg(format!("{}{options}", mode.option()));
        start.arg("start").output().await?;
        Ok(self.socket.identify().await?)
    }

    /// The log of its server.
    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// What the server has logged last, line by line, if it could not be started. Code of users has not run by then.
    pub async fn last_log(&self) -> Result<String, ScratchError> {
        Ok(self.programs.agent.read_file(self.log()).await?)
    }

    /// Stops its server, if it runs.
    pub async fn stop(&self) -> Result<(), ScratchError> {
        Ok(self.programs.agent.stop_server(self.pgdata()).await?)
    }

    /// Stops its server, if it runs, and removes everything.
    pub async fn remove(&self) -> Result<(), ScratchError> {
        self.programs.agent.stop_server(self.pgdata()).await?;
        Ok(self.programs.agent.remove_directory(self.directory.clone()).await?)
    }

    /// How many bytes are free for it. The directory of its socket is in the node's file system too; 0 if that cannot be measured.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        Volume::at(&self.socket_dir).space().map_or(0, |space| space.free)
    }

    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
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

    /// Its control data.
    pub async fn control_data(&self) -> Result<ControlData, CommandError> {
        ControlData::read(&self.programs, &self.pgdata()).await
    }

    /// A client program of the target version, connected to its server.
    ///
    /// The calls of functions are counted whatever a restored database stores.
    #[must_use]
    pub fn client(&self, name: &str) -> Program {
        let options = session_options(SessionKind::Dump, self.programs.major);
        self.programs
            .program(name)
            .env("PGHOST", &self.socket_dir.display().to_string())
            .env("PGUSER", &self.user)
            .env("PGOPTIONS", &format!("{options} -c track_functions=all"))
            .arg("--no-password")
    }

    /// A session in one of its databases.
    pub async fn connect(&self, database: &str) -> Result<Client, ServerError> {
        self.socket.connect(database, &self.user).await
    }

    /// A session in one of its databases with these options and nothing else, for statements of others.
    pub async fn connect_with(&self, database: &str, options: String) -> Result<Client, ServerError> {
        self.socket.connect_with(database, &self.user, options).await
    }
}
