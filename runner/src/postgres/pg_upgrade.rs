//! Runs `pg_upgrade`.

mod logs;
mod output;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pgops_api::plan::TransferMode;
use pgops_volume::{Interlock, Tree};

use self::output::Output;
use super::client::session::{SESSION_OPTIONS, long_running_options};
use super::program::command::{CommandError, Program};
use super::program::installation::Installation;
use super::program::pg_dump;
use super::server::private_server::{Data, PrivateServerError, private_hba, server_options};

/// Everything that `pg_upgrade` needs to know.
#[derive(Debug)]
pub struct PgUpgrade<'a> {
    /// The staged old version.
    pub old: &'a Installation,
    /// The target version.
    pub new: &'a Installation,
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
    /// Whether the old cluster has `track_commit_timestamp` on.
    pub commit_timestamps: bool,
    pub old_major: u32,
    pub new_major: u32,
    /// Whether the dump must leave out [`pg_dump::COLUMN_OPTION`].
    pub drop_column_option: bool,
    /// Held by every program that it starts.
    pub interlock: &'a Interlock,
    /// The volume that both data directories are on.
    pub volume: &'a Tree,
    /// A directory of this run, in which `pg_upgrade` may write.
    pub scratch: &'a Path,
}

/// `pg_upgrade` did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum PgUpgradeError {
    #[error("failed to prepare {path} for pg_upgrade")]
    Prepare {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    PrivateServer(#[from] PrivateServerError),
    #[error(transparent)]
    Start(CommandError),
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
    /// Runs it, and passes each stage that has passed to `on_stage`.
    pub async fn run(&self, mut on_stage: impl FnMut(&str)) -> Result<(), PgUpgradeError> {
        let hba = private_hba(self.scratch)?;
        let directory = self.working_directory()?;
        let mut output = Output::default();
        let result = self
            .program(&hba, &directory)?
            .each_line(|line| {
                let line = line.trim_end();
                tracing::debug!(target: "pg_upgrade", "{line}");
                if let Some(stage) = output.add(line) {
                    on_stage(stage);
                }
            })
            .await;
        result.map_err(|error| match error {
            CommandError::Start { .. } => PgUpgradeError::Start(error),
            CommandError::Ended { .. } => self.failure(output, &directory),
        })
    }

    /// An empty working directory. `pg_upgrade` writes into it, and so does its delete script, with `rm -rf`: both need
    /// one of their own.
    fn working_directory(&self) -> Result<PathBuf, PgUpgradeError> {
        let directory = self.scratch.join("pg_upgrade");
        let made = match fs::remove_dir_all(&directory) {
            // What an earlier run has left would be reported as the cause of this run's failure.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(&directory),
        };
        made.map_err(|source| PgUpgradeError::Prepare { path: directory.clone(), source })?;
        Ok(directory)
    }

    fn program(&self, hba: &Path, directory: &Path) -> Result<Program, PgUpgradeError> {
        let bindir =
            if self.drop_column_option { self.bindir_with_wrapper()? } else { self.new.bindir.clone() };
        Program::new(self.new.program("pg_upgrade"))
            .args(self.arguments(hba, &bindir))
            // It passes them on to all of its sessions, and to those of the programs that it runs.
            .env("PGOPTIONS", &format!("{SESSION_OPTIONS} {}", long_running_options(self.old_major)))
            .env(pg_dump::REAL_VARIABLE, &self.new.program(pg_dump::NAME).display().to_string())
            .current_dir(directory)
            .holding(self.interlock)
            .map_err(|source| PgUpgradeError::Prepare { path: directory.to_owned(), source })
    }

    /// A bin directory with links to the new programs, except `pg_dump`, which is the wrapper.
    fn bindir_with_wrapper(&self) -> Result<PathBuf, PgUpgradeError> {
        let bindir = self.scratch.join("bin");
        let link = || -> io::Result<()> {
            fs::create_dir_all(&bindir)?;
            for entry in fs::read_dir(&self.new.bindir)? {
                let name = entry?.file_name();
                let target =
                    if name == pg_dump::NAME { pg_dump::runner_path() } else { self.new.bindir.join(&name) };
                match symlink(target, bindir.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        };
        link().map_err(|source| PgUpgradeError::Prepare { path: bindir.clone(), source })?;
        Ok(bindir)
    }

    fn arguments(&self, hba: &Path, new_bindir: &Path) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let old = Data::Old { commit_timestamps: self.commit_timestamps };
        [
            ("--old-bindir", path(&self.old.bindir)),
            ("--new-bindir", path(new_bindir)),
            ("--old-datadir", path(self.old_pgdata)),
            ("--new-datadir", path(self.new_pgdata)),
            ("--username", self.install_user.to_owned()),
            ("--jobs", self.jobs.to_string()),
            // The default is the working directory, whose name may be too long for a socket's address.
            ("--socketdir", "/tmp".to_owned()),
            ("--old-options", server_options(self.old_major, self.relations, hba, old)),
            ("--new-options", server_options(self.new_major, self.relations, hba, Data::New)),
        ]
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        // Copying is the default, and has an option of its own only since 17.
        .chain((self.mode != TransferMode::Copy).then(|| format!("--{}", self.mode.name())))
        .collect()
    }

    fn failure(&self, output: Output, directory: &Path) -> PgUpgradeError {
        let mut files = logs::files(&Tree::at(self.scratch), directory);
        files.extend(logs::files(self.volume, &self.new_pgdata.join("pg_upgrade_output.d")));
        let failed = output.failed_stage();
        PgUpgradeError::Failed {
            stage: failed.stage,
            explanation: failed.explanation,
            details: logs::details(&files).unwrap_or_default(),
            logs: logs::logs(&files),
        }
    }
}
