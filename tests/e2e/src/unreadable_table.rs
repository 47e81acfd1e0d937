//! A table with which `pg_upgrade` fails halfway.

use crate::database::Database;

/// A table whose file can be made unreadable: `pg_upgrade` then fails while it copies files, long after the stop of the old
/// server.
pub struct UnreadableTable<'a>(&'a Database);

impl<'a> UnreadableTable<'a> {
    /// Creates the table, which can be read as yet.
    pub async fn create(database: &'a Database) -> anyhow::Result<Self> {
        let table = "CREATE TABLE unreadable AS SELECT g FROM generate_series(1, 5000) g";
        // Nothing is left to write, so the old server does not open the file again.
        for statement in [table, "VACUUM FREEZE unreadable", "CHECKPOINT"] {
            database.sql("postgres", statement).await?;
        }
        Ok(Self(database))
    }

    /// No program of the database's user can read it any more.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.set_mode("000").await
    }

    /// It can be read again.
    pub async fn open(&self) -> anyhow::Result<()> {
        self.set_mode("600").await
    }

    async fn set_mode(&self, bits: &str) -> anyhow::Result<()> {
        let statement = format!(
            "DO $do$ BEGIN EXECUTE format('COPY (SELECT WHERE false) TO PROGRAM %L',
                'chmod {bits} ' || pg_relation_filepath('unreadable')); END $do$"
        );
        self.0.sql("postgres", &statement).await.map(drop)
    }
}
