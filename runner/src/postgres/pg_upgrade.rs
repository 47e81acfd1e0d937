//! Runs `pg_upgrade`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pgops_api::plan::TransferMode;

use crate::postgres::client::session::{SESSION_SETTINGS, lasting};
use crate::postgres::interlock::Interlock;
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::installation::Installation;
use crate::postgres::server::private_server::{Data, private_hba, server_options};
use crate::worker::{install, pg_dump_wrapper as dump};

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
    /// Whether the old cluster keeps the times of commits.
    pub commit_timestamps: bool,
    /// Major version of the old cluster.
    pub old_major: u32,
    /// Major version of the new cluster.
    pub new_major: u32,
    /// Whether the dump must leave out what [`crate::worker::pg_dump_wrapper`] speaks of.
    pub drop_column_option: bool,
    /// Held by every program that it starts.
    pub interlock: &'a Interlock,
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
    /// It could not be started.
    #[error(transparent)]
    Start(CommandError),
    /// It ended with an error.
    #[error("pg_upgrade failed at \"{stage}\": {explanation}\n{details}")]
    Failed {
        /// The stage that did not pass.
        stage: String,
        /// What it says itself.
        explanation: String,
        /// What its report files say: the offending objects, or the error in the log of a database.
        details: String,
        /// The ends of all its logs, with their names.
        logs: String,
    },
}

impl PgUpgrade<'_> {
    /// Runs it, and hands over each stage that it prints.
    pub async fn run(&self, mut stage: impl FnMut(&str)) -> Result<(), PgUpgradeError> {
        let hba = private_hba(self.scratch)?;
        // pg_upgrade writes into its working directory, and so does its delete script, with rm -rf:
        // both go to a directory of their own.
        let cwd = self.scratch.join("pg_upgrade");
        let make = match fs::remove_dir_all(&cwd) {
            // What an earlier run has left there would be told as the reason of this one's failure.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(&cwd),
        };
        make.map_err(|source| PgUpgradeError::Prepare { path: cwd.clone(), source })?;

        let mut last = String::new();
        let mut said = Vec::new();
        let bindir =
            if self.drop_column_option { self.bindir_with_our_dump()? } else { self.new.bindir.clone() };
        let program = Program::new(self.new.program("pg_upgrade"))
            .args(self.arguments(&hba, &bindir))
            // It passes them on to all of its sessions, and those of the programs that it runs.
            .env("PGOPTIONS", &format!("{SESSION_SETTINGS} {}", lasting(self.old_major)))
            .env(dump::REAL_VARIABLE, &self.new.program(dump::NAME).display().to_string())
            .current_dir(&cwd)
            .holding(self.interlock)
            .map_err(|source| PgUpgradeError::Prepare { path: cwd.clone(), source })?;
        let result = program
            .each_line(|line| {
                let line = line.trim_end();
                tracing::debug!(target: "pg_upgrade", "{line}");
                match parse(line) {
                    Line::Passed(name) => {
                        said.clear();
                        stage(name);
                    }
                    Line::Failed(name) => {
                        name.clone_into(&mut last);
                        said.clear();
                    }
                    Line::Other("") => {}
                    Line::Other(text) => said.push(text.to_owned()),
                }
            })
            .await;
        match result {
            Ok(()) => Ok(()),
            Err(error @ CommandError::Start { .. }) => Err(PgUpgradeError::Start(error)),
            Err(CommandError::Ended { .. }) => {
                let files = files(&[&cwd, &self.new_pgdata.join("pg_upgrade_output.d")]);
                // A stage with a progress of its own stands alone on its line.
                if last.is_empty()
                    && let Some(at) = said.iter().position(|line| !is_noise(line))
                {
                    last = said.remove(at);
                }
                Err(PgUpgradeError::Failed {
                    stage: last,
                    explanation: withhold(&explanation(&said)),
                    details: report(&files).unwrap_or_default(),
                    logs: logs(&files),
                })
            }
        }
    }

    /// A bin directory with links to the new programs, but for `pg_dump`, which is ours.
    fn bindir_with_our_dump(&self) -> Result<PathBuf, PgUpgradeError> {
        let bindir = self.scratch.join("bin");
        let link = || -> io::Result<()> {
            fs::create_dir_all(&bindir)?;
            for entry in fs::read_dir(&self.new.bindir)? {
                let name = entry?.file_name();
                let target = if name == dump::NAME {
                    Path::new(pgops_api::layout::TOOLS_DIR).join(install::PROGRAM)
                } else {
                    self.new.bindir.join(&name)
                };
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
}

/// A line of `pg_upgrade`'s output.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    /// A stage that has passed: `Checking cluster versions      ok`.
    Passed(&'a str),
    /// A stage that has not: `fatal` or `failed check: …` stands after it, or nothing.
    Failed(&'a str),
    /// Words about what came before.
    Other(&'a str),
}

fn parse(line: &str) -> Line<'_> {
    // The state stands in a column of its own, behind a run of blanks.
    match line.split_once("   ") {
        Some((name, state)) if name.starts_with(char::is_uppercase) => match state.trim() {
            "ok" => Line::Passed(name),
            _ => Line::Failed(name),
        },
        _ => Line::Other(line.trim()),
    }
}

/// What `pg_upgrade` says of its failure, without its decoration and its paths, which go with the worker.
fn explanation(said: &[String]) -> String {
    let mut lines: Vec<_> = said.iter().map(String::as_str).filter(|line| !is_noise(line)).collect();
    lines.dedup();
    lines.join(" ")
}

/// Whether a line is decoration, a path, or a command line.
fn is_noise(line: &str) -> bool {
    const WORDS: [&str; 4] =
        ["Consult the last", "Failure, exiting", "the probable cause", "child process exited"];
    line.is_empty()
        || line.starts_with(['*', '-', '/'])
        || line.starts_with("\"/")
        || WORDS.iter().any(|words| line.starts_with(words))
}

/// What `pg_upgrade` says in its own files: the objects in the way, else the end of the newest log.
fn report(files: &[PathBuf]) -> Option<String> {
    let text = |path: &PathBuf| {
        let text = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
        Some(text).filter(|text| !text.trim().is_empty())
    };
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
    // The dump and restore of each database has a log of its own.
    let errors: Vec<_> =
        of_kind(".log").into_iter().filter_map(text).filter_map(|text| first_error(&text)).collect();
    (!errors.is_empty()).then(|| errors.join("\n"))
}

/// The first error in a log and the lines after it, but for what only follows from another one.
fn first_error(text: &str) -> Option<String> {
    const SIGNS: [&str; 6] = ["error:", "ERROR:", "FATAL:", "PANIC:", "could not", "No space left"];
    const ECHOES: [&str; 4] = [
        "terminating connection due to administrator command",
        "shutting down",
        // A pod's names are not needed on a socket.
        "could not resolve \"localhost\"",
        "started with the command",
    ];
    let lines: Vec<_> = text.lines().collect();
    let first = lines.iter().position(|line| {
        SIGNS.iter().any(|sign| line.contains(sign)) && !ECHOES.iter().any(|echo| line.contains(echo))
    })?;
    Some(withhold(&lines[first..].iter().take(6).copied().collect::<Vec<_>>().join("\n")))
}

/// The end of each log, under its name.
fn logs(files: &[PathBuf]) -> String {
    let logs = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let end = |path: &PathBuf| {
        // A log may hold what is no text, such as names in another encoding.
        let text = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
        Some(format!("== {}\n{}\n", path.file_name()?.display(), tail(&withhold(&text))))
    };
    logs.filter_map(end).collect()
}

/// The text without what may hold a secret: statements about roles, foreign servers, user mappings and
/// subscriptions up to their end, and every line that speaks of one.
pub fn withhold(text: &str) -> String {
    const STATEMENTS: [&str; 5] = [" ROLE ", " USER ", " SERVER ", " SUBSCRIPTION ", " MAPPING "];
    const SIGNS: [&str; 6] = ["password", "passwd", "secret", "token", "_key", "scram-sha-256$"];
    let mut within = false;
    let shown = text.lines().map(|line| {
        // The setting of that name holds no password.
        let lower = line.to_lowercase().replace("password_encryption", "");
        let defines = line.contains("CREATE ") || line.contains("ALTER ");
        within |= defines && STATEMENTS.iter().any(|statement| line.contains(statement));
        let tells = within || lower.contains("'md5") || SIGNS.iter().any(|sign| lower.contains(sign));
        within &= !line.trim_end().ends_with(';');
        if tells { "(withheld: this line may hold a secret)" } else { line }
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// Every file that `pg_upgrade` has left in the directories, by name.
fn files(directories: &[&Path]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for directory in directories {
        collect(directory, &mut files);
    }
    files.sort();
    files
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
    #[case("Checking cluster versions                 ok", Line::Passed("Checking cluster versions"))]
    #[case(
        "Checking for prepared transactions        fatal",
        Line::Failed("Checking for prepared transactions")
    )]
    #[case(
        "Checking data type usage    failed check: Checking for reg* data types",
        Line::Failed("Checking data type usage")
    )]
    #[case(
        "Restoring database schemas in the new cluster                 ",
        Line::Failed("Restoring database schemas in the new cluster")
    )]
    #[case("Performing Consistency Checks", Line::Other("Performing Consistency Checks"))]
    #[case("-----------------------------", Line::Other("-----------------------------"))]
    #[case("", Line::Other(""))]
    fn stages_are_read_from_the_output(#[case] line: &str, #[case] expected: Line<'_>) {
        assert_eq!(parse(line), expected);
    }

    #[test]
    fn the_explanation_is_what_pg_upgrade_says_without_its_decoration() {
        let said = [
            "",
            "Data type checks failed:",
            "Your installation contains one of the reg* data types",
            "*failure*",
            "\"/usr/lib/postgresql/17/bin/pg_ctl\" -w -o \"-p 50432\" start",
            "Failure, exiting",
        ]
        .map(String::from);
        assert_eq!(
            explanation(&said),
            "Data type checks failed: Your installation contains one of the reg* data types"
        );
    }

    #[test]
    fn the_way_that_passwords_are_kept_is_no_secret() {
        let text = "ERROR:  invalid value for parameter \"password_encryption\": \"on\"";
        assert_eq!(withhold(text), text);
    }

    #[test]
    fn a_password_never_reaches_a_log() {
        let text = "ALTER ROLE a WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:abc';\nOPTIONS (\"password\" 'hunter2')\n\
                    Command was: CREATE USER MAPPING FOR a SERVER s OPTIONS (\n    aws_id 'hunter2'\n);\nCREATE TABLE t";
        let shown = withhold(text);
        assert!(
            !shown.contains("4096") && !shown.contains("hunter2") && shown.ends_with("CREATE TABLE t"),
            "{shown}"
        );
    }

    #[test]
    fn what_only_follows_from_another_error_is_not_the_error() {
        let text = "pg_restore: error: could not execute query: FATAL:  terminating connection due to administrator command";
        assert_eq!(first_error(text), None);
        let text =
            "LOG:  could not resolve \"localhost\": System error\nLOG:  disabling statistics collector";
        assert_eq!(first_error(text), None);
        assert_eq!(
            first_error("x\nERROR:  type does not exist\nLINE 1").as_deref(),
            Some("ERROR:  type does not exist\nLINE 1")
        );
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
        let report = report(&files(&[directory.path()])).unwrap();
        assert!(report.contains("public.t.f") && report.contains("tables_using_regproc.txt"), "{report}");
    }

    #[test]
    fn without_objects_the_report_is_the_error_in_a_log() {
        let directory = tempfile::tempdir().unwrap();
        let log =
            "command: pg_restore\npg_restore: creating TABLE\npg_restore: error: could not execute query\n";
        fs::write(directory.path().join("pg_upgrade_dump_1.log"), log).unwrap();
        let report = report(&files(&[directory.path()])).unwrap();
        assert!(report.starts_with("pg_restore: error: could not execute query"), "{report}");
    }
}
