//! What of the old data directory does not go along: settings that somebody wrote into its `postgresql.conf`, and
//! files that are not `PostgreSQL`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use super::super::Finding;
use super::super::finding::shortened;

const CONF: &str = "postgresql.conf";
/// What a server that runs leaves beside its data.
const OF_A_RUN: [&str; 3] = ["postmaster.pid", "postmaster.opts", "current_logfiles"];
/// Made with the file system, where the volume's root is the data directory.
const OF_THE_FILE_SYSTEM: &str = "lost+found";
/// What initdb itself finds out or is told, such as the size of WAL segments, and tells differently from version to
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

/// Notes about the data directory `old`; `new` is one as the target's initdb leaves it.
pub(super) fn notes(old: &Path, new: &Path) -> io::Result<Vec<Finding>> {
    let conf = |directory: &Path| {
        Ok::<_, io::Error>(String::from_utf8_lossy(&fs::read(directory.join(CONF))?).into_owned())
    };
    let mut notes = Vec::new();
    let settings = own_settings(&conf(old)?, &conf(new)?);
    if !settings.is_empty() {
        let text = format!(
            "{CONF} in the data directory is not carried; have these in user.conf of the configSecret, or set them by \
             ALTER SYSTEM: {}",
            shortened(&settings)
        );
        notes.push(Finding::note("settings-left-behind", text));
    }
    let files = strange(names(old)?, &names(new)?);
    if !files.is_empty() {
        let text = format!(
            "are in the data directory and not PostgreSQL's; they go with the old data, so copy what you need: {}",
            shortened(&files)
        );
        notes.push(Finding::note("files-left-behind", text));
    }
    Ok(notes)
}

fn names(directory: &Path) -> io::Result<BTreeSet<String>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The names that a data directory has by itself left out.
fn strange(old: BTreeSet<String>, new: &BTreeSet<String>) -> Vec<String> {
    let known =
        |name: &String| new.contains(name) || OF_A_RUN.contains(&name.as_str()) || name == OF_THE_FILE_SYSTEM;
    old.into_iter().filter(|name| !known(name)).collect()
}

/// Names of the settings of a file that initdb would not have written. Their values may hold secrets.
fn own_settings(old: &str, new: &str) -> Vec<String> {
    let initdbs = settings(new);
    let own = settings(old)
        .into_iter()
        .filter(|(name, value)| !OF_INITDB.contains(&name.as_str()) && initdbs.get(name) != Some(value));
    own.map(|(name, _)| name).collect()
}

/// What a file sets; of a name that it sets twice the last.
fn settings(conf: &str) -> BTreeMap<String, String> {
    let setting = |line: &str| {
        let line = without_comment(line).trim();
        let (name, value) = line.split_once(|c: char| c == '=' || c.is_whitespace())?;
        let value = value.trim_start().trim_start_matches('=').trim();
        Some((name.to_lowercase(), value.trim_matches('\'').to_owned()))
    };
    conf.lines().filter_map(setting).collect()
}

/// A `#` within quotes is none of a comment.
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
    fn what_initdb_wrote_is_nobodys_own() {
        let old = INITDB.replace("C.UTF-8", "de_DE.UTF-8");
        assert_eq!(own_settings(&old, INITDB), [""; 0]);
    }

    #[test]
    fn what_somebody_wrote_is_named() {
        let old = format!("{INITDB}work_mem '7MB'   # mine\nMax_Connections=200\nlog_line_prefix = '#%m '\n");
        assert_eq!(own_settings(&old, INITDB), ["log_line_prefix", "max_connections", "work_mem"]);
        assert_eq!(settings(&old).get("log_line_prefix").map(String::as_str), Some("#%m "));
    }

    #[test]
    fn only_what_postgresql_did_not_make_is_strange() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        let new = set(&["base", "PG_VERSION", CONF]);
        let old = set(&["base", "PG_VERSION", CONF, "postmaster.pid", "lost+found", "server.key", "log"]);
        assert_eq!(strange(old, &new), ["log", "server.key"]);
    }
}
