//! The files that `pg_upgrade` leaves: reports of objects that it rejects, and logs.

use std::path::{Path, PathBuf};

use pgops_api::{bounded, bounded_lines};
use pgops_volume::Tree;

use crate::agent::protocol::{Logs, MAX_MESSAGE};
use crate::postgres::redact::redact;
use crate::postgres::server::server_log::STARTING;

/// As much of a file is read, from its end.
const MAX_BYTES: u64 = 4 << 20;
/// How many lines of a log are shown from its first error on.
const ERROR_LINES: usize = 6;
/// How many lines are read for that: some are left out.
const LINES_READ: usize = 60;
/// The longest that is kept of one file, in bytes.
const MAX_OF_FILE: usize = 16 << 10;
/// The longest explanation, in bytes: it is to be read in a condition, and there may be a log for each of 1,000 databases.
const MAX_DETAILS: usize = 12 << 10;
/// The longest that is passed on of all logs, in bytes: even with every character escaped it fits into one message.
const MAX_LOGS: usize = MAX_MESSAGE / 8;

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
        return Some(explanation(&objects));
    }
    // The dump and restore of each database has a log of its own.
    let errors: Vec<_> = with_ending(files, "log").filter_map(|file| first_error(&file.text()?)).collect();
    (!errors.is_empty()).then(|| explanation(&errors))
}

fn explanation(parts: &[String]) -> String {
    bounded_lines(parts, MAX_DETAILS / 2, MAX_DETAILS, |more| {
        format!("… and {more} more files with errors; their ends are in the Job's log")
    })
}

/// The end of each log, under its name; those with an error come first.
fn logs(files: &[LogFile]) -> String {
    let end = |file: &LogFile| {
        let text = file.text()?;
        let end = format!("== {}\n{}", file.name(), tail(&redact(&text)));
        Some((first_error(&text).is_none(), end))
    };
    let mut ends: Vec<_> = with_ending(files, "log").filter_map(end).collect();
    ends.sort_by_key(|(is_clean, _)| *is_clean);
    let ends: Vec<_> = ends.into_iter().map(|(_, end)| end).collect();
    bounded_lines(&ends, MAX_OF_FILE * 2, MAX_LOGS, |more| format!("… and {more} more logs"))
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
    const SIGNS: [&str; 7] =
        ["error:", "ERROR:", "FATAL:", "PANIC:", "could not", "No space left", "Disk quota exceeded"];
    const CONSEQUENCES: [&str; 5] = [
        "terminating connection due to administrator command",
        "shutting down",
        // To pgops itself, which reads the rights of the old server.
        STARTING,
        // A pod's names are not needed on a socket.
        "could not resolve \"localhost\"",
        "started with the command",
    ];
    let lines: Vec<_> = text.lines().collect();
    let first = lines.iter().position(|line| {
        SIGNS.iter().any(|sign| line.contains(sign)) && !CONSEQUENCES.iter().any(|it| line.contains(it))
    })?;
    let text = lines[first..].iter().take(LINES_READ).copied().collect::<Vec<_>>().join("\n");
    let error = redact(&text).lines().take(ERROR_LINES).collect::<Vec<_>>().join("\n");
    Some(bounded(error, MAX_OF_FILE, ""))
}

/// The last lines, and of those the last bytes.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().collect();
    let end = lines[lines.len().saturating_sub(20)..].join("\n");
    end[end.ceil_char_boundary(end.len().saturating_sub(MAX_OF_FILE))..].to_owned()
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
        assert_eq!(first_error("FATAL:  the database system is starting up"), None);
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

    /// Each database has a log of its own. An answer that is longer than a message would end the session, and a longer
    /// explanation the request without any.
    #[test]
    fn logs_of_many_databases_fit_into_a_message_with_the_failed_ones_first() {
        let directory = tempfile::tempdir().unwrap();
        let line = "pg_restore: creating TABLE \"public.a_table_with_a_long_name\"\u{1}\u{1}\u{1}\u{1}\n";
        for number in 0..700 {
            let error =
                if number == 650 { "pg_restore: error: could not execute query: ERROR:  x\n" } else { "" };
            let path = directory.path().join(format!("pg_upgrade_dump_{number}.log"));
            fs::write(path, line.repeat(100) + error).unwrap();
        }
        let logs = read(&[directory.path().to_owned()]);
        assert!(logs.logs.starts_with("== pg_upgrade_dump_650.log"), "{}", &logs.logs[..100]);
        assert!(logs.logs.ends_with(" more logs"), "{}", &logs.logs[logs.logs.len() - 100..]);
        let message = serde_json::to_vec(&crate::agent::protocol::Response::Logs(logs)).unwrap();
        assert!(message.len() < MAX_MESSAGE, "{}", message.len());
    }

    #[test]
    fn errors_of_many_databases_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..700 {
            let error = format!(
                "pg_restore: error: could not execute query: ERROR:  type t{number} does not exist\n"
            );
            fs::write(directory.path().join(format!("pg_upgrade_dump_{number}.log")), error).unwrap();
        }
        let details = read(&[directory.path().to_owned()]).details.unwrap();
        assert!(details.len() <= MAX_DETAILS, "{}", details.len());
        assert!(details.contains("more files with errors"), "{details}");
    }
}
