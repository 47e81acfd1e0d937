//! Settings whose default the target changes, and which a server leaves at theirs: each server is asked for its own.

use std::collections::BTreeMap;
use std::fmt;

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;

const WHAT: &str = "defaults of settings";
/// Defaults that say where a build has its files.
const OF_THE_BUILD: [&str; 2] = ["krb_server_keyfile", "unix_socket_directories"];
/// Defaults that are only written in another way: since 18 this one is a list, and an empty one is `off`.
const OTHERWISE_WRITTEN: [&str; 1] = ["log_connections"];

/// A setting with another default.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChangedDefault {
    name: String,
    before: String,
    after: String,
}

#[cfg(test)]
impl ChangedDefault {
    pub fn example(number: u32) -> Self {
        let (name, before, after) =
            (format!("setting_{number}"), number.to_string(), (number + 1).to_string());
        Self { name, before, after }
    }
}

impl fmt::Display for ChangedDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} before, {} then)", self.name, self.before, self.after)
    }
}

/// The settings that the serving server takes from nowhere but its defaults, and the target, with its scratch server, from others.
pub async fn changed_defaults(
    serving: &Client,
    scratch: &Client,
) -> Result<Vec<ChangedDefault>, ServerError> {
    let before = defaults(serving, SERVING).await?;
    Ok(changed(before, &defaults(scratch, "true").await?))
}

/// Whether a row `s` of `pg_settings` is not set. The session has options of its own, which hide the files of settings.
const SERVING: &str = "s.source NOT IN ('command line', 'configuration file', 'environment variable', 'global', 'override') \
     AND NOT EXISTS (SELECT FROM pg_file_settings f WHERE lower(f.name) = lower(s.name))";

/// The defaults of the settings that fulfil a condition, without those of libraries.
async fn defaults(client: &Client, condition: &str) -> Result<BTreeMap<String, String>, ServerError> {
    let failed = ServerError::query(WHAT);
    let sql = format!(
        "SELECT s.name, concat_ws(' ', COALESCE(NULLIF(s.boot_val, ''), ''''''), s.unit) FROM pg_settings s \
         WHERE s.context <> 'internal' AND strpos(s.name, '.') = 0 AND s.category !~ '^(Developer|File|Preset)' AND {condition}"
    );
    let rows = client.query(&sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}

fn changed(before: BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<ChangedDefault> {
    let changed = before.into_iter().filter_map(|(name, before)| {
        let after = after.get(&name).filter(|after| **after != before)?.clone();
        Some(ChangedDefault { name, before, after })
    });
    let ignored = [&OF_THE_BUILD[..], &OTHERWISE_WRITTEN].concat();
    changed.filter(|it| !ignored.contains(&it.name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
        settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn setting_with_another_default_is_named_with_both_values() {
        let before = settings(&[
            ("hash_mem_multiplier", "1"),
            ("jit", "on"),
            ("log_connections", "off"),
            ("old_snapshot_threshold", "-1 min"),
            ("unix_socket_directories", "/tmp"),
            ("vacuum_buffer_usage_limit", "256 kB"),
        ]);
        let after = settings(&[
            ("hash_mem_multiplier", "2"),
            ("io_method", "worker"),
            ("jit", "on"),
            ("log_connections", "''"),
            ("unix_socket_directories", "/run/postgresql"),
            ("vacuum_buffer_usage_limit", "2048 kB"),
        ]);
        let changed: Vec<_> = changed(before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(
            changed,
            [
                "hash_mem_multiplier (1 before, 2 then)",
                "vacuum_buffer_usage_limit (256 kB before, 2048 kB then)"
            ]
        );
    }
}
