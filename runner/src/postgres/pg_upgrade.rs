//! Runs `pg_upgrade`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pgops_api::plan::TransferMode;

use super::command::{CommandError, Program};
use super::installation::Installation;

/// Everything that `pg_upgrade` needs to know.
#[derive(Debug)]
pub struct PgUpgrade<'a> {
    /// The staged old version.
    pub old: &'a Installation,
    /// The target version.
    pub new: &'a Installation,
    /// Data directory of the old cluster.
    pub old_pgdata: &'a Path,
    /// Data directory of the new cluster, as initdb left it.
    pub new_pgdata: &'a Path,
    /// The role with OID 10.
    pub install_user: &'a str,
    /// How files get to the new cluster.
    pub mode: TransferMode,
    /// How many processes work at a time.
    pub jobs: usize,
    /// Relations of the largest database: `pg_dump` locks all of them in one transaction.
    pub relations: u64,
    /// Major version of the old cluster.
    pub old_major: u32,
    /// Major version of the new cluster.
    pub new_major: u32,
    /// A directory of ours, in which `pg_upgrade` may write, and the servers' socket is.
    pub scratch: &'a Path,
}

/// `pg_upgrade` did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum PgUpgradeError {
    /// Its surroundings could not be prepared.
    #[error("failed to prepare {path} for pg_upgrade")]
    Prepare {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It ended with an error; `details` is what its own report files say.
    #[error("pg_upgrade failed at \"{stage}\": {details}")]
    Failed {
        /// The last stage that it printed.
        stage: String,
        /// The report that names the offending objects, or the last lines of its log.
        details: String,
        /// How it ended.
        #[source]
        source: CommandError,
    },
}

/// Options of a server that serves nobody but `pg_upgrade`, whatever `ALTER SYSTEM` left in the data
/// directory: no JIT (its LLVM is not staged), no TLS files, no archiving over the real archive, no
/// preload library that this image lacks, and nobody but the pod's user on the socket.
#[must_use]
pub fn server_options(major: u32, relations: u64, hba: &Path) -> String {
    // Every table of a database is locked at once; the default allows 64 for each of 100 connections.
    let locks = 64 + relations.div_ceil(100);
    let mut options = format!(
        "-c jit=off -c ssl=off -c archive_mode=off -c shared_preload_libraries= -c huge_pages=off \
         -c autovacuum=off -c default_transaction_read_only=off -c max_locks_per_transaction={locks} \
         -c log_statement=none -c hba_file={}",
        hba.display()
    );
    if major >= 13 {
        options.push_str(" -c max_slot_wal_keep_size=-1");
    }
    if major >= 18 {
        options.push_str(" -c idle_replication_slot_timeout=0");
    }
    options
}

/// The file that admits the pod's own user to a private server; written into `scratch`.
pub fn private_hba(scratch: &Path) -> Result<PathBuf, PgUpgradeError> {
    let path = scratch.join("pg_hba.conf");
    let failed = |source| PgUpgradeError::Prepare { path: path.clone(), source };
    fs::create_dir_all(scratch).map_err(failed)?;
    fs::write(&path, "local all all trust\nlocal replication all trust\n").map_err(failed)?;
    Ok(path)
}

impl PgUpgrade<'_> {
    /// Runs it, and hands over each stage that it prints.
    pub async fn run(&self, mut stage: impl FnMut(&str)) -> Result<(), PgUpgradeError> {
        let hba = private_hba(self.scratch)?;
        // pg_upgrade writes into its working directory, and so does its delete script, with rm -rf:
        // both go to a directory of their own.
        let cwd = self.scratch.join("pg_upgrade");
        fs::create_dir_all(&cwd).map_err(|source| PgUpgradeError::Prepare { path: cwd.clone(), source })?;

        let mut last = String::new();
        let program =
            Program::new(self.new.program("pg_upgrade")).args(self.arguments(&hba)).current_dir(&cwd);
        let result = program
            .each_line(|line| {
                let line = line.trim_end();
                tracing::debug!(target: "pg_upgrade", "{line}");
                if let Some(name) = stage_name(line) {
                    name.clone_into(&mut last);
                    stage(name);
                }
            })
            .await;
        result.map_err(|source| {
            let details = report(&[&cwd, &self.new_pgdata.join("pg_upgrade_output.d")])
                .unwrap_or_else(|| source.to_string());
            PgUpgradeError::Failed { stage: last, details, source }
        })
    }

    fn arguments(&self, hba: &Path) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        [
            ("--old-bindir", path(&self.old.bindir)),
            ("--new-bindir", path(&self.new.bindir)),
            ("--old-datadir", path(self.old_pgdata)),
            ("--new-datadir", path(self.new_pgdata)),
            ("--username", self.install_user.to_owned()),
            ("--jobs", self.jobs.to_string()),
            // The default is the working directory, whose name may be too long for a socket's address.
            ("--socketdir", "/tmp".to_owned()),
            ("--old-options", server_options(self.old_major, self.relations, hba)),
            ("--new-options", server_options(self.new_major, self.relations, hba)),
        ]
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        // Copying is the default, and has an option of its own only since 17.
        .chain((self.mode != TransferMode::Copy).then(|| format!("--{}", self.mode.name())))
        .collect()
    }
}

/// The stage that a line of `pg_upgrade` announces: `Restoring database schemas in the new cluster  ok`.
fn stage_name(line: &str) -> Option<&str> {
    let name = line.trim_end_matches("ok").trim_end_matches("fatal").trim_end();
    let announces = name.starts_with(char::is_uppercase) && !name.ends_with(['.', ':', '-']);
    (announces && name.len() > 8 && line.len() > name.len() + 1).then_some(name)
}

/// What `pg_upgrade` says in its own files: the objects in the way, else the end of the newest log.
fn report(directories: &[&Path]) -> Option<String> {
    let mut files = Vec::new();
    for directory in directories {
        collect(directory, &mut files);
    }
    files.sort();
    let text = |path: &PathBuf| fs::read_to_string(path).ok().filter(|text| !text.trim().is_empty());
    let of_kind = |ending: &str| -> Vec<&PathBuf> {
        files.iter().filter(|path| path.to_string_lossy().ends_with(ending)).collect()
    };
    let objects: Vec<_> = of_kind(".txt")
        .into_iter()
        .filter_map(|path| Some(format!("{}:\n{}", path.file_name()?.display(), tail(&text(path)?))))
        .collect();
    if !objects.is_empty() {
        return Some(objects.join("\n"));
    }
    // The dump and restore of one database has a log of its own; the one that speaks of an error is it.
    of_kind(".log").into_iter().filter_map(text).find_map(|text| {
        let from = ["pg_restore: error:", "psql:", "ERROR:", "FATAL:", "could not"]
            .iter()
            .filter_map(|word| text.find(word))
            .min()?;
        Some(text[from..].lines().take(6).collect::<Vec<_>>().join("\n"))
    })
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "Checking cluster versions                                     ok",
        Some("Checking cluster versions")
    )]
    #[case(
        "Restoring database schemas in the new cluster                 ok",
        Some("Restoring database schemas in the new cluster")
    )]
    #[case(
        "Checking for prepared transactions                            fatal",
        Some("Checking for prepared transactions")
    )]
    #[case("Performing Consistency Checks", None)]
    #[case("-----------------------------", None)]
    #[case("Upgrade Complete", None)]
    #[case("", None)]
    fn stages_are_read_from_the_output(#[case] line: &str, #[case] expected: Option<&str>) {
        assert_eq!(stage_name(line), expected);
    }

    #[test]
    fn settings_that_a_version_does_not_know_are_not_given_to_it() {
        let options = |major| server_options(major, 10_000, Path::new("/tmp/hba"));
        assert!(!options(12).contains("max_slot_wal_keep_size"));
        assert!(!options(17).contains("idle_replication_slot_timeout"));
        assert!(options(18).contains("idle_replication_slot_timeout=0"));
        assert!(options(13).contains("jit=off"));
        assert!(options(13).contains("max_locks_per_transaction=164"));
    }

    #[test]
    fn the_report_names_the_objects_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let sub = directory.path().join("20261122T2100/log");
        fs::create_dir_all(&sub).unwrap();
        fs::write(
            directory.path().join("20261122T2100/tables_using_regproc.txt"),
            "In database: shop\n  public.t.f\n",
        )
        .unwrap();
        fs::write(sub.join("pg_upgrade_server.log"), "ERROR:  something else\n").unwrap();
        let report = report(&[directory.path()]).unwrap();
        assert!(report.contains("public.t.f") && report.contains("tables_using_regproc.txt"), "{report}");
    }

    #[test]
    fn without_objects_the_report_is_the_error_in_a_log() {
        let directory = tempfile::tempdir().unwrap();
        let log =
            "command: pg_restore\npg_restore: creating TABLE\npg_restore: error: could not execute query\n";
        fs::write(directory.path().join("pg_upgrade_dump_1.log"), log).unwrap();
        let report = report(&[directory.path()]).unwrap();
        assert!(report.starts_with("pg_restore: error: could not execute query"), "{report}");
    }
}
