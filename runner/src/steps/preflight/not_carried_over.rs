//! What in the old data directory is not carried over: settings that a user wrote into its `postgresql.conf`, and files
//! that are not `PostgreSQL`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use pgops_volume::{FileError, Tree, Volume};

use crate::upgrade::{Finding, shortened};

/// The file of settings in a data directory.
pub const CONF: &str = "postgresql.conf";
/// The directory with those of databases.
const BASE: &str = "base";
/// Files that a running server leaves next to its data.
const OF_A_RUNNING_SERVER: [&str; 3] = ["postmaster.pid", "postmaster.opts", "current_logfiles"];
/// Created with the file system, if the volume's root is the data directory.
const OF_THE_FILE_SYSTEM: &str = "lost+found";
/// Settings of initdb whose values say nothing about a user: the target's initdb is given the locales that are in effect, detects
/// what the node supports, and pgops sets how passwords are stored.
const OF_INITDB: [&str; 7] = [
    "dynamic_shared_memory_type",
    "huge_pages",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "password_encryption",
];
/// Settings that initdb takes from the image and from locales, and that decide what values mean: if the target's initdb writes
/// another value, sessions get that one.
const DETECTED: [&str; 4] = ["datestyle", "default_text_search_config", "log_timezone", "timezone"];
/// Settings that initdb writes as this many segments of WAL.
const SEGMENTS: [(&str, u64); 2] = [("max_wal_size", 64), ("min_wal_size", 5)];
/// Names of the time zone that an image without one of its own has.
const UTC: [&str; 6] = ["etc/utc", "etc/gmt", "etc/uct", "gmt", "uct", "utc"];

/// A data directory as the target's initdb leaves it.
pub struct NewDirectory<'a> {
    /// Its file of settings.
    pub conf: &'a str,
    /// The names of all of its files.
    pub names: &'a BTreeSet<String>,
}

/// Notes about the data directory of a major version on a volume, whose WAL has segments of that size.
pub fn notes(
    volume: &Volume,
    old_major: u32,
    wal_segment_bytes: u64,
    new: &NewDirectory<'_>,
) -> Result<Vec<Finding>, FileError> {
    let (tree, old) = (volume.tree(), &volume.data_dir(old_major));
    let mut notes = Vec::new();
    let settings = own_settings(&conf(tree, old)?, new.conf, wal_segment_bytes);
    if !settings.is_empty() {
        let text = format!(
            "{CONF} in the data directory is not carried over; put these into user.conf of the configSecret, or set them \
             by ALTER SYSTEM: {}",
            shortened(&settings)
        );
        notes.push(Finding::note("settings-left-behind", text));
    }
    let files = foreign_files(names(tree, old)?, new.names);
    if !files.is_empty() {
        let text = format!(
            "files in the data directory that are not PostgreSQL's: {}; they are deleted with the old data, so copy what you \
             need",
            shortened(&files)
        );
        notes.push(Finding::note("files-left-behind", text));
    }
    let files = files_between_relations(tree, old)?;
    if !files.is_empty() {
        let text = format!(
            "files in the databases' directories that are not PostgreSQL's: {}; pg_upgrade does not carry them. If an extension \
             keeps indexes in them, REINDEX these after the upgrade",
            shortened(&files)
        );
        notes.push(Finding::note("files-left-behind", text));
    }
    Ok(notes)
}

/// The files of others in the directories of databases, relative to the data directory. A directory with too many files to be
/// listed is left out.
fn files_between_relations(tree: &Tree, old: &Path) -> Result<Vec<String>, FileError> {
    let mut foreign = Vec::new();
    for name in names(tree, &old.join(BASE))?.into_iter().filter(|name| is_number(name)) {
        let directory = Path::new(BASE).join(name);
        match names(tree, &old.join(&directory)) {
            Ok(names) => {
                let names = names.into_iter().filter(|name| !is_of_a_database(name));
                foreign.extend(names.map(|name| directory.join(name).display().to_string()));
            }
            Err(error) if error.is_refusal() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(foreign)
}

/// Whether `PostgreSQL` has files of that name in a database's directory: `16384_fsm.1`, `t3_16384` and few others
/// (`src/common/relpath.c`, `src/backend/utils/cache/relmapper.c` and `relcache.c`).
fn is_of_a_database(name: &str) -> bool {
    if name == "PG_VERSION" || name.starts_with("pg_filenode.map") || name.starts_with("pg_internal.init") {
        return true;
    }
    let temporary = name.strip_prefix('t').and_then(|rest| rest.split_once('_'));
    let name = temporary.filter(|(backend, _)| is_number(backend)).map_or(name, |(_, name)| name);
    let segment = name.rsplit_once('.').filter(|(_, segment)| is_number(segment));
    let name = segment.map_or(name, |(name, _)| name);
    let fork = ["_fsm", "_vm", "_init"].into_iter().find_map(|fork| name.strip_suffix(fork));
    is_number(fork.unwrap_or(name))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
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

/// The settings in a file that initdb would not have written. Only names, as values may hold secrets, except for those of initdb
/// itself.
fn own_settings(old: &str, new: &str, wal_segment_bytes: u64) -> Vec<String> {
    let written_by_initdb = settings(new);
    let own = settings(old).into_iter().filter(|(name, _)| !OF_INITDB.contains(&name.as_str()));
    let own = own.filter_map(|(name, value)| {
        let new = written_by_initdb.get(&name);
        if let Some((_, segments)) = SEGMENTS.iter().find(|(it, _)| *it == name) {
            // That cluster may have other segments.
            return (value != wal_size(segments * wal_segment_bytes)).then(|| format!("{name} = {value}"));
        }
        if new.is_some_and(|new| is_same(&name, &value, new)) {
            return None;
        }
        if !DETECTED.contains(&name.as_str()) {
            return Some(name);
        }
        let new = new.map_or("the default", String::as_str);
        Some(format!("{name} = '{value}' (the target's initdb sets {new})"))
    });
    own.collect()
}

fn is_same(name: &str, old: &str, new: &str) -> bool {
    let is_utc = |zone: &str| UTC.contains(&zone.to_ascii_lowercase().as_str());
    old == new || name.ends_with("timezone") && is_utc(old) && is_utc(new)
}

/// A size as initdb writes it (`pretty_wal_size`, `src/bin/initdb/initdb.c`).
fn wal_size(bytes: u64) -> String {
    let megabytes = bytes >> 20;
    if megabytes.is_multiple_of(1024) { format!("{}GB", megabytes / 1024) } else { format!("{megabytes}MB") }
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
                          shared_buffers = 128MB\nlc_messages = 'C.UTF-8'\ndatestyle = 'iso, mdy'\n\
                          timezone = 'Etc/UTC'\nmax_wal_size = 1GB\nmin_wal_size = 80MB\n\
                          default_text_search_config = 'pg_catalog.english'\n";

    const SEGMENT: u64 = 16 << 20;

    #[test]
    fn settings_written_by_initdb_are_not_reported() {
        let old = INITDB.replace("C.UTF-8", "de_DE.UTF-8");
        assert_eq!(own_settings(&old, INITDB, SEGMENT), [""; 0]);
        let larger = INITDB.replace("1GB", "4GB").replace("80MB", "320MB");
        assert_eq!(own_settings(&larger, INITDB, 64 << 20), [""; 0]);
    }

    #[test]
    fn settings_written_by_a_user_are_named() {
        let old = format!("{INITDB}work_mem '7MB'   # mine\nMax_Connections=200\nlog_line_prefix = '#%m '\n");
        assert_eq!(own_settings(&old, INITDB, SEGMENT), ["log_line_prefix", "max_connections", "work_mem"]);
        assert_eq!(settings(&old).get("log_line_prefix").map(String::as_str), Some("#%m "));
    }

    #[test]
    fn changed_settings_of_initdb_are_named_with_both_values() {
        let old = INITDB
            .replace("Etc/UTC", "Europe/Berlin")
            .replace("iso, mdy", "iso, dmy")
            .replace("1GB", "8GB")
            .replace("pg_catalog.english", "public.ours");
        let expected = [
            "datestyle = 'iso, dmy' (the target's initdb sets iso, mdy)",
            "default_text_search_config = 'public.ours' (the target's initdb sets pg_catalog.english)",
            "max_wal_size = 8GB",
            "timezone = 'Europe/Berlin' (the target's initdb sets Etc/UTC)",
        ];
        assert_eq!(own_settings(&old, INITDB, SEGMENT), expected);
    }

    #[test]
    fn names_of_utc_are_the_same_time_zone() {
        assert_eq!(own_settings(&INITDB.replace("Etc/UTC", "GMT"), INITDB, SEGMENT), [""; 0]);
    }

    #[test]
    fn only_files_that_are_not_postgresqls_are_foreign_in_a_database() {
        for own in [
            "PG_VERSION",
            "16384",
            "16384.1",
            "16384_fsm",
            "16384_vm.2",
            "16385_init",
            "t3_16384",
            "t12_16384_fsm",
            "pg_filenode.map",
            "pg_internal.init",
        ] {
            assert!(is_of_a_database(own), "{own}");
        }
        for foreign in
            ["pgrn", "pgrn.0000000", "pgrn.001", "t_1", "16384_old", "16384.bak", "_fsm", "core.12"]
        {
            assert!(!is_of_a_database(foreign), "{foreign}");
        }
    }

    #[test]
    fn only_files_that_are_not_postgresqls_are_foreign() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        let new = set(&["base", "PG_VERSION", CONF]);
        let old = set(&["base", "PG_VERSION", CONF, "postmaster.pid", "lost+found", "server.key", "log"]);
        assert_eq!(foreign_files(old, &new), ["log", "server.key"]);
    }
}
