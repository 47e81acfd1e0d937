//! The files that `pg_upgrade` leaves: reports of objects that it rejects, and logs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::agent::protocol::Logs;
use crate::postgres::program::redact::redact;

/// What the files in the directories say about a failure.
#[must_use]
pub fn read(directories: &[PathBuf]) -> Logs {
    let files = files(directories);
    Logs { details: details(&files), logs: logs(&files) }
}

/// Every file in the directories, by name.
fn files(directories: &[PathBuf]) -> Vec<PathBuf> {
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

/// Why `pg_upgrade` has failed: the objects that it rejects, else the first error of each log.
fn details(files: &[PathBuf]) -> Option<String> {
    let objects: Vec<_> = with_ending(files, ".txt")
        .filter_map(|path| Some(format!("{}:\n{}", path.file_name()?.display(), tail(&text(path)?))))
        .collect();
    if !objects.is_empty() {
        return Some(objects.join("\n"));
    }
    // The dump and restore of each database has a log of its own.
    let errors: Vec<_> = with_ending(files, ".log").filter_map(|path| first_error(&text(path)?)).collect();
    (!errors.is_empty()).then(|| errors.join("\n"))
}

/// The end of each log, under its name.
fn logs(files: &[PathBuf]) -> String {
    let logs = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let end = |path: &PathBuf| {
        let text = lossy(path)?;
        Some(format!("== {}\n{}\n", path.file_name()?.display(), tail(&redact(&text))))
    };
    logs.filter_map(end).collect()
}

fn with_ending<'a>(files: &'a [PathBuf], ending: &'static str) -> impl Iterator<Item = &'a PathBuf> {
    files.iter().filter(move |path| path.to_string_lossy().ends_with(ending))
}

/// The text of a file that is not blank.
fn text(path: &Path) -> Option<String> {
    lossy(path).filter(|text| !text.trim().is_empty())
}

/// The content of a file, which may not be valid UTF-8: names may be in another encoding.
fn lossy(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
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
    Some(redact(&lines[first..].iter().take(6).copied().collect::<Vec<_>>().join("\n")))
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consequence_of_another_error_is_not_the_first_error() {
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
        let details = details(&files(&[directory.path().to_owned()])).unwrap();
        assert!(details.contains("public.t.f") && details.contains("tables_using_regproc.txt"), "{details}");
    }

    #[test]
    fn details_without_objects_are_the_error_in_a_log() {
        let directory = tempfile::tempdir().unwrap();
        let log =
            "command: pg_restore\npg_restore: creating TABLE\npg_restore: error: could not execute query\n";
        fs::write(directory.path().join("pg_upgrade_dump_1.log"), log).unwrap();
        let details = details(&files(&[directory.path().to_owned()])).unwrap();
        assert!(details.starts_with("pg_restore: error: could not execute query"), "{details}");
    }
}
