//! The databases that restores have created on a scratch server. Neither their names nor their OIDs are those of the serving
//! server: a name may read differently in the database's encoding, and code that a restore has run may have created others.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{count, strings};

/// Databases that a restore has created.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreatedDatabases {
    pub oids: Vec<String>,
    /// How many they take.
    pub bytes: u64,
}

/// Those that are known so far.
#[derive(Debug, Default)]
pub struct RestoredDatabases {
    known: BTreeSet<String>,
}

impl RestoredDatabases {
    /// Databases that have been created since the last call, by their OIDs; `scratch` is connected to the scratch server.
    pub async fn created(&mut self, scratch: &Client) -> Result<Vec<String>, ServerError> {
        let sql =
            "SELECT oid::text FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')";
        Ok(self.add(strings(scratch, "the rehearsed databases", sql).await?))
    }

    fn add(&mut self, existing: Vec<String>) -> Vec<String> {
        existing.into_iter().filter(|oid| self.known.insert(oid.clone())).collect()
    }
}

/// The most bytes that databases are kept for, see [`KeptDatabases`].
const MAX_KEPT: u64 = 4 << 30;

/// Databases that have been compared. They are kept as long as there is room: a file system such as ext4 does not use the inodes
/// of deleted files again for a minute, but looks at each of them whenever it creates a file, so that each database that is dropped
/// makes the next ones slower to create.
#[derive(Debug)]
pub struct KeptDatabases {
    oids: Vec<String>,
    bytes: u64,
    most: u64,
}

impl KeptDatabases {
    /// None yet, on a file system with that many free bytes: most of them are left to others.
    #[must_use]
    pub fn new(free: u64) -> Self {
        Self { oids: Vec::new(), bytes: 0, most: MAX_KEPT.min(free / 4) }
    }

    /// Adds databases; returns those that have to be dropped now.
    pub fn add(&mut self, created: CreatedDatabases) -> Vec<String> {
        self.oids.extend(created.oids);
        self.bytes = self.bytes.saturating_add(created.bytes);
        if self.bytes <= self.most {
            return Vec::new();
        }
        self.bytes = 0;
        std::mem::take(&mut self.oids)
    }
}

/// How many bytes databases with these OIDs take; `scratch` is connected to the scratch server.
pub async fn size(scratch: &Client, oids: &[String]) -> Result<u64, ServerError> {
    if oids.is_empty() {
        return Ok(0);
    }
    let sql = format!(
        "SELECT COALESCE(sum(pg_database_size(oid)), 0)::text FROM pg_database WHERE oid IN ({})",
        oids.join(", ")
    );
    count(scratch, "the size of rehearsed databases", &sql).await
}

/// Drops databases with these OIDs; `scratch` is connected to another one. Others may be restored at the same time.
pub async fn drop_databases(scratch: &Client, oids: &[String]) -> Result<(), ServerError> {
    if oids.is_empty() {
        return Ok(());
    }
    let oids = oids.join(", ");
    // Neither a template nor a database with subscriptions can be dropped.
    let templates = format!("UPDATE pg_database SET datistemplate = false WHERE oid IN ({oids})");
    let subscriptions = format!("DELETE FROM pg_subscription WHERE subdbid IN ({oids})");
    let names = format!("SELECT quote_ident(datname) FROM pg_database WHERE oid IN ({oids})");
    let failed = ServerError::execute("drop a rehearsed database");
    for statement in [templates, subscriptions] {
        scratch.batch_execute(&statement).await.map_err(failed)?;
    }
    for name in strings(scratch, "the rehearsed databases", &names).await? {
        scratch.batch_execute(&format!("DROP DATABASE {name}")).await.map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oids(oids: &[&str]) -> Vec<String> {
        oids.iter().map(|&oid| oid.to_owned()).collect()
    }

    fn created(these: &[&str], bytes: u64) -> CreatedDatabases {
        CreatedDatabases { oids: oids(these), bytes }
    }

    #[test]
    fn restored_databases_are_those_that_were_not_there_before() {
        let mut databases = RestoredDatabases::default();
        assert_eq!(databases.add(oids(&["16400"])), oids(&["16400"]));
        // The first one is still being compared.
        assert_eq!(databases.add(oids(&["16400", "16500", "16501"])), oids(&["16500", "16501"]));
        assert_eq!(databases.add(oids(&["16501"])), oids(&[]));
    }

    #[test]
    fn compared_databases_are_kept_while_there_is_room_and_then_dropped_together() {
        let mut compared = KeptDatabases::new(4000);
        assert_eq!(compared.add(created(&["16400"], 400)), oids(&[]));
        assert_eq!(compared.add(created(&["16401", "16402"], 600)), oids(&[]));
        assert_eq!(compared.add(created(&["16403"], 1)), oids(&["16400", "16401", "16402", "16403"]));
        assert_eq!(compared.add(created(&["16404"], 1000)), oids(&[]));
        // However much is free.
        assert_eq!(KeptDatabases::new(u64::MAX).add(created(&["16400"], MAX_KEPT + 1)), oids(&["16400"]));
        // Nothing is kept on a full one.
        assert_eq!(KeptDatabases::new(0).add(created(&["16400"], 1)), oids(&["16400"]));
    }
}
