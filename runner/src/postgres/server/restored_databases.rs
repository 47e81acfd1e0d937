//! The databases that restores have created on a scratch server. Neither their names nor their OIDs are those of the serving
//! server: a name may read differently in the database's encoding, and code that a restore has run may have created others.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings;

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

    #[test]
    fn restored_databases_are_those_that_were_not_there_before() {
        let mut databases = RestoredDatabases::default();
        assert_eq!(databases.add(oids(&["16400"])), oids(&["16400"]));
        // The first one is still being compared.
        assert_eq!(databases.add(oids(&["16400", "16500", "16501"])), oids(&["16500", "16501"]));
        assert_eq!(databases.add(oids(&["16501"])), oids(&[]));
    }
}
