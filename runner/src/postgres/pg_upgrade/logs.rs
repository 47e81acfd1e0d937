//! The files that `pg_upgrade` leaves: reports of objects that it rejects, and logs.

use std::path::{Path, PathBuf};

use pgops_volume::Tree;

use crate::agent::protocol::Logs;
use crate::postgres::redact::redact;

/// As much of a file is read, from its end.
const MAX_BYTES: u64 = 4 << 20;
/// How many lines of a log are shown from its first error on.
const ERROR_LINES: usize = 6;
/// How many lines are read for that: some are left out.
const LINES_READ: usize = 60;

/// A file of `pg_upgrade`. Its directories may be on the volume, or where code of users has run.
#[derive(Debug)]
struct LogFile {
    tree: Tree,
    path: PathBuf,
}

/// What the files in the directories say about a failure.
#[must_use]
pub fn read(directories: &[PathBuf]) -> Logs {
    let files: Vec<_> =
        directories.iter().flat_map(|directory| files(&Tree::at(directory), directory)).collect();
    Logs { details: details(&files), logs: logs(&files) }
}

/// Every file below the directory, by name.
fn files(tree: &Tree, directory: &Path) -> Vec<LogFile> {
    // What cannot be listed explains nothing, and this is only about an explanation.
    let mut paths = tree.files_below(directory).unwrap_or_default();
    paths.sort();
    paths.into_iter().map(|path| LogFile { tree: tree.clone(), path }).collect()
}

/// Why `pg_upgrade` has failed: the objects that it rejects, else the first error of each log.
fn details(files: &[LogFile]) -> Option<String> {
    let objects: Vec<_> = with_ending(files, "txt")
        .filter_map(|file| Some(format!("{}:\n{}", file.name(), tail(&redact(&file.text()?)))))
        .collect();
    if !objects.is_empty() {
        return Some(objects.join("\n"));
    }
    // The dump and restore of each database has a log of its own.
    let errors: Vec<_> = with_ending(files, "log").filter_map(|file| first_error(&file.text()?)).collect();
    (!errors.is_empty()).then(|| errors.join("\n"))
}

/// The end of each log, under its name.
fn logs(files: &[LogFile]) -> String {
    let end = |file: &LogFile| Some(format!("== {}\n{}\n", file.name(), tail(&redact(&file.text()?))));
    with_ending(files, "log").filter_map(end).collect()
}

fn with_ending<'a>(files: &'a [LogFile], ending: &'static str) -> impl Iterator<Item = &'a LogFile> {
    files.iter().filter(move |file| file.path.extension().is_some_and(|extension| extension == ending))
}

impl LogFile {
    fn name(&self) -> impl std::fmt::Display {
        self.path.file_name().unwrap_or_default().display()
    }

    /// The text, unless it is blank. It may not be valid UTF-8: names may be in another encoding.
    fn text(&self) -> Option<String> {
        let content = self.tree.read_end(&self.path, MAX_BYTES).ok()?;
        Some(String::from_utf8_lossy(&content).into_owned()).filter(|text| !text.trim().is_empty())
    }
}

/// The first error in a log and the lines after it. An error that only follows from another one does not count.
fn first_error(text: &str) -> Option<String> {
    const SIGNS: [&str; 6] = ["error:", "ERROR:", "FATAL:", "PANIC:", "could not", "No space left"];
    const CONSEQUENCES: [&str; 4] = [
        "terminating connection due to administrator command",
        "shutting down",
        // A pod's names are not needed on a socket.
        "could not resolve \"localhost\"",
        "started with the command",
    ];
    let lines: Vec<_> = text.lines().collect();
    let first = lines.iter().position(|line| {
        SIGNS.iter().any(|sign| line.contains(sign)) && !CONSEQUENCES.iter().any(|it| line.contains(it))
    })?;
    let text = lines[first..].iter().take(LINES_READ).copied().collect::<Vec<_>>().join("\n");
    Some(redact(&text).lines().take(ERROR_LINES).collect::<Vec<_>>().join("\n"))
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn all(directory: &tempfile::TempDir) -> Vec<LogFile> {
        files(&Tree::at(directory.path()), directory.path())
    }

    #[test]
    fn consequence_of_another_error_is_not_the_first_error() {
        let text = "pg_restore: error: could not execute query: FATAL:  terminating connection due to administrator command";
        assert_eq!(first_error(text), None);
        let text =
            "LOG:  could not resolve \"localhost\": System error\nLOG:  disabling statistics collector";
        assert_eq!(first_error(text), None);
        assert_eq!(
            first_error("x\nERROR:  type does not exist\nLINE 1: a\nCommand was: b").as_deref(),
            Some("ERROR:  type does not exist\nCommand was: b")
        );
    }

    #[test]
    fn details_name_the_rejected_objects() {
        let directory = tempfile::tempdir().unwrap();
        let sub = directory.path().join("20261122T2100/log");
        fs::create_dir_all(&sub).unwrap();
        fs::write(
            directory.path().join("20261122T2100/tables_using_regproc.txt"),
            "In database: shop\n  public.t.f\n",
        )
        .unwrap();
        fs::write(sub.join("pg_upgrade_server.log"), "ERROR:  something else\n").unwrap();
        let details = details(&all(&directory)).unwrap();
        assert!(details.contains("public.t.f") && details.contains("tables_using_regproc.txt"), "{details}");
    }

    #[test]
    fn details_and_logs_have_no_values_of_users() {
        let directory = tempfile::tempdir().unwrap();
        let log = "pg_restore: error: could not execute query: ERROR:  could not create unique index \"i\"\n\
                   DETAIL:  Key (email)=(ann@example.com) is duplicated.\n";
        fs::write(directory.path().join("pg_upgrade_dump_1.log"), log).unwrap();
        let files = all(&directory);
        let text = format!("{}\n{}", details(&files).unwrap(), logs(&files));
        assert!(text.contains("could not create unique index \"i\"") && !text.contains("ann@"), "{text}");
    }

    #[test]
    fn log_that_is_a_link_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        fs::write(elsewhere.path(), "ERROR:  elsewhere\n").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), directory.path().join("a.log")).unwrap();
        assert!(all(&directory).is_empty());
    }

    #[test]
    fn details_without_objects_are_the_error_in_a_log() {
        let directory = tempfile::tempdir().unwrap();
        let log =
            "command: pg_restore\npg_restore: creating TABLE\npg_restore: error: could not execute query\n";
        fs::write(directory.path().join("pg_upgrade_dump_1.log"), log).unwrap();
        let details = details(&all(&directory)).unwrap();
        assert!(details.starts_with("pg_restore: error: could not execute query"), "{details}");
    }
}
