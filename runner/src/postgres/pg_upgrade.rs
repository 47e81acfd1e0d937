//! Runs `pg_upgrade`.

pub mod logs;
mod output;

use std::io;
use std::path::{Path, PathBuf};

use pgops_api::plan::TransferMode;
use pgops_api::session_options::{SessionKind, session_options};
use pgops_volume::Interlock;

use self::output::Output;
use super::program::command::{CommandError, Program};
use super::program::pg_dump;
use super::program::programs::Programs;
use super::server::private_server::{Data, PrivateServer, private_hba};
use super::server_settings::ServerSettings;
use super::statistics::CARRIES_STATISTICS;
use crate::agent::AgentError;

/// Where its servers listen, one after the other: the default directory is the working directory, whose name may be too long for
/// a socket's address.
pub const SOCKET_DIR: &str = "/tmp";
/// The port of both.
pub const PORT: u16 = 50432;

/// Everything that `pg_upgrade` needs to know.
#[derive(Debug)]
pub struct PgUpgrade<'a> {
    /// The staged old version.
    pub old: &'a Programs,
    /// The target version.
    pub new: &'a Programs,
    pub old_pgdata: &'a Path,
    /// Data directory of the new cluster, as `initdb` left it.
    pub new_pgdata: &'a Path,
    /// The role with OID 10.
    pub install_user: &'a str,
    /// How files get to the new cluster.
    pub mode: TransferMode,
    /// Number of processes that work in parallel.
    pub jobs: usize,
    /// Number of relations of the largest database: `pg_dump` locks all of them in one transaction.
    pub relations: u64,
    /// What its servers take over from the database's own settings.
    pub settings: &'a ServerSettings,
    /// Whether the old cluster has `track_commit_timestamp` on.
    pub commit_timestamps: bool,
    pub old_major: u32,
    pub new_major: u32,
    /// Whether the dump must leave out [`pg_dump::COLUMN_OPTION`].
    pub drop_column_option: bool,
    /// Whether statistics are left out, which it carries since 18.
    pub without_statistics: bool,
    /// Held by every program that it starts.
    pub interlock: &'a Interlock,
    /// A directory of this run, in which `pg_upgrade` may write.
    pub scratch: &'a Path,
}

/// `pg_upgrade` did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum PgUpgradeError {
    #[error("failed to prepare a run of pg_upgrade")]
    Prepare(#[from] AgentError),
    #[error("failed to pass the interlock to pg_upgrade")]
    Interlock(#[source] io::Error),
    #[error(transparent)]
    Program(#[from] CommandError),
    #[error("pg_upgrade failed at \"{stage}\": {explanation}\n{details}")]
    Failed {
        /// The stage that did not pass.
        stage: String,
        /// What `pg_upgrade` prints about it.
        explanation: String,
        /// What its report files say: the rejected objects, or the error in the log of a database.
        details: String,
        /// The ends of all its logs, with their names.
        logs: String,
    },
}

impl PgUpgrade<'_> {
    /// Runs it, and passes each stage that has passed to `on_stage`. The new cluster is not on the disk yet: see
    /// [`sync`](super::program::initdb::sync).
    pub async fn run(&self, mut on_stage: impl FnMut(&str)) -> Result<(), PgUpgradeError> {
        let agent = &self.new.agent;
        let hba = private_hba(agent, self.scratch).await?;
        // It writes into its working directory, and so does its delete script, with `rm -rf`: both need one of their own.
        // What an earlier run has left would be reported as the cause of this run's failure.
        let directory = self.scratch.join("pg_upgrade");
        agent.empty_directory(directory.clone()).await?;
        let bindir = self.bindir().await?;
        let mut output = Output::default();
        let result = self
            .program(&hba, &bindir, &directory)?
            .each_line(|line| {
                let line = line.trim_end();
                tracing::debug!(target: "pg_upgrade", "{line}");
                if let Some(stage) = output.add(line) {
                    on_stage(stage);
                }
            })
            .await;
        match result {
            Err(CommandError::Ended { .. }) => Err(self.failure(output, directory).await?),
            result => Ok(result?),
        }
    }

    fn program(&self, hba: &Path, bindir: &Path, directory: &Path) -> Result<Program, PgUpgradeError> {
        self.new
            .program("pg_upgrade")
            .args(self.arguments(hba, bindir))
            // It passes them on to all of its sessions, and to those of the programs that it runs, on both servers.
            .env("PGOPTIONS", &session_options(SessionKind::Dump, self.old_major))
            .env(pg_dump::REAL_VARIABLE, &self.new.installation.program(pg_dump::NAME).display().to_string())
            .current_dir(directory)
            .holding(self.interlock)
            .map_err(PgUpgradeError::Interlock)
    }

    /// The directory of the new programs, with the wrapper of `pg_dump` among them if the dump must leave something out.
    async fn bindir(&self) -> Result<PathBuf, AgentError> {
        let bindir = self.new.installation.bindir.clone();
        if !self.drop_column_option {
            return Ok(bindir);
        }
        let links = self.scratch.join("bin");
        self.new.agent.link_programs(bindir, links.clone()).await?;
        Ok(links)
    }

    fn arguments(&self, hba: &Path, new_bindir: &Path) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let (relations, settings) = (self.relations, self.settings);
        let options =
            |major, data| PrivateServer { major, data, relations, hba, settings }.options().for_pg_upgrade();
        let old = Data::Old { commit_timestamps: self.commit_timestamps };
        [
            ("--old-bindir", path(&self.old.installation.bindir)),
            ("--new-bindir", path(new_bindir)),
            ("--old-datadir", path(self.old_pgdata)),
            ("--new-datadir", path(self.new_pgdata)),
            ("--username", self.install_user.to_owned()),
            ("--jobs", self.jobs.to_string()),
            ("--socketdir", SOCKET_DIR.to_owned()),
            ("--old-port", PORT.to_string()),
            ("--new-port", PORT.to_string()),
            ("--old-options", options(self.old_major, old)),
            ("--new-options", options(self.new_major, Data::New)),
        ]
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        // Copying is the default, and has an option of its own only since 17.
        .chain((self.mode != TransferMode::Copy).then(|| format!("--{}", self.mode.name())))
        // The new cluster is synced when the rights in it have been compared, see `initdb::sync`. 14 and earlier lack it.
        .chain((self.new_major >= 15).then(|| "--no-sync".to_owned()))
        .chain(
            (self.new_major >= CARRIES_STATISTICS && self.without_statistics)
                .then(|| "--no-statistics".to_owned()),
        )
        .collect()
    }

    async fn failure(&self, output: Output, directory: PathBuf) -> Result<PgUpgradeError, AgentError> {
        let of_the_new_cluster = self.new_pgdata.join("pg_upgrade_output.d");
        let logs = self.new.agent.read_logs(vec![directory, of_the_new_cluster]).await?;
        let failed = output.failed_stage();
        Ok(PgUpgradeError::Failed {
            stage: failed.stage,
            explanation: failed.explanation,
            details: logs.details.unwrap_or_default(),
            logs: logs.logs,
        })
    }
}
