//! What in the old data directory is not carried over: settings that a user wrote into its `postgresql.conf`, and files
//! that are not `PostgreSQL`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use pgops_volume::{FileError, Tree, Volume};

use crate::upgrade::{Finding, shortened};

/// The file of settings in a data directory.
pub const CONF: &str = "postgresql.conf";
/// Files that a running server leaves next to its data.
const OF_A_RUNNING_SERVER: [&str; 3] = ["postmaster.pid", "postmaster.opts", "current_logfiles"];
/// Created with the file system, if the volume's root is the data directory.
const OF_THE_FILE_SYSTEM: &str = "lost+found";
/// Settings that initdb detects or is given, such as the size of WAL segments, and writes differently from version to
/// version.
const OF_INITDB: [&str; 13] = [
    "datestyle",
    "default_text_search_config",
    "dynamic_shared_memory_type",
    "huge_pages",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "log_timezone",
    "max_wal_size",
    "min_wal_size",
    "password_encryption",
    "timezone",
];

/// Notes about the data directory of a major version on a volume. `new_conf` is the file of settings, and `new_names` are the
/// names of all files, of one as the target's initdb leaves it.
pub fn notes(
    volume: &Volume,
    old_major: u32,
    new_conf: &str,
    new_names: &BTreeSet<String>,
) -> Result<Vec<Finding>, FileError> {
    let (tree, old) = (volume.tree(), &volume.data_dir(old_major));
    let mut notes = Vec::new();
    let settings = own_settings(&conf(tree, old)?, new_conf);
    if !settings.is_empty() {
        let text = format!(
            "{CONF} in the data directory is not carried over; put these into user.conf of the configSecret, or set them \
             by ALTER SYSTEM: {}",
            shortened(&settings)
        );
        notes.push(Finding::note("settings-left-behind", text));
    }
    let files = foreign_files(names(tree, old)?, new_names);
    if !files.is_empty() {
        let text = format!(
            "files in the data directory that are not PostgreSQL's: {}; they are deleted with the old data, so copy what you \
             need",
            shortened(&files)
        );
        notes.push(Finding::note("files-left-behind", text));
    }
    Ok(notes)
}

fn conf(tree: &Tree, directory: &Path) -> Result<String, FileError> {
    let path = directory.join(CONF);
    let missing = || FileError::on("read", &path)(io::Error::from(io::ErrorKind::NotFound));
    let text = tree.read_if_exists(&path)?.ok_or_else(missing)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn names(tree: &Tree, directory: &Path) -> Result<BTreeSet<String>, FileError> {
    let paths = tree.list_if_exists(directory)?;
    Ok(paths.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
}

/// Names in `old` that are neither in a new data directory nor `PostgreSQL`'s.
fn foreign_files(old: BTreeSet<String>, new: &BTreeSet<String>) -> Vec<String> {
    let known = |name: &String| {
        new.contains(name) || OF_A_RUNNING_SERVER.contains(&name.as_str()) || name == OF_THE_FILE_SYSTEM
    };
    old.into_iter().filter(|name| !known(name)).collect()
}

/// Names of the settings in a file that initdb would not have written. Only names: values may hold secrets.
fn own_settings(old: &str, new: &str) -> Vec<String> {
    let written_by_initdb = settings(new);
    let own = settings(old).into_iter().filter(|(name, value)| {
        !OF_INITDB.contains(&name.as_str()) && written_by_initdb.get(name) != Some(value)
    });
    own.map(|(name, _)| name).collect()
}

/// The settings of a file; the last value of a name that is set twice.
fn settings(conf: &str) -> BTreeMap<String, String> {
    let setting = |line: &str| {
        let line = without_comment(line).trim();
        let (name, value) = line.split_once(|c: char| c == '=' || c.is_whitespace())?;
        let value = value.trim_start().trim_start_matches('=').trim();
        Some((name.to_lowercase(), value.trim_matches('\'').to_owned()))
    };
    conf.lines().filter_map(setting).collect()
}

/// A `#` within quotes does not start a comment.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let end = line.find(|c| {
        quoted ^= c == '\'';
        c == '#' && !quoted
    });
    &line[..end.unwrap_or(line.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITDB: &str = "max_connections = 100\t\t# (change requires restart)\n\
                          #work_mem = 4MB\n\
                          shared_buffers = 128MB\nlc_messages = 'C.UTF-8'\ndatestyle = 'iso, mdy'\n";

    #[test]
    fn settings_written_by_initdb_are_not_reported() {
        let old = INITDB.replace("C.UTF-8", "de_DE.UTF-8");
        assert_eq!(own_settings(&old, INITDB), [""; 0]);
    }

    #[test]
    fn settings_written_by_a_user_are_named() {
        let old = format!("{INITDB}work_mem '7MB'   # mine\nMax_Connections=200\nlog_line_prefix = '#%m '\n");
        assert_eq!(own_settings(&old, INITDB), ["log_line_prefix", "max_connections", "work_mem"]);
        assert_eq!(settings(&old).get("log_line_prefix").map(String::as_str), Some("#%m "));
    }

    #[test]
    fn only_files_that_are_not_postgresqls_are_foreign() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        let new = set(&["base", "PG_VERSION", CONF]);
        let old = set(&["base", "PG_VERSION", CONF, "postmaster.pid", "lost+found", "server.key", "log"]);
        assert_eq!(foreign_files(old, &new), ["log", "server.key"]);
    }
}
