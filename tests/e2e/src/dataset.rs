//! Data that databases are filled with: the scripts in `tests/sql`.

use anyhow::Context;

use crate::database::{Database, DatabaseBuilder};
use crate::script::run_script;

/// A script of `tests/sql`.
#[derive(Clone, Copy, Debug)]
pub enum DataSet {
    /// One of each kind of object.
    Everything,
    /// The extensions that ship with `PostgreSQL`, and features newer than 13.
    Contrib,
    /// As many kinds of definitions as there are, without rows, for servers from 15 on.
    Definitions,
    /// One table of a few thousand rows.
    Kept,
    /// Four hundred tables of twelve columns.
    Wide,
    /// Text in a one-byte encoding, sorted by a language's rules.
    Latin1,
    /// A few hundred thousand rows.
    Bulk,
    /// What cannot go from 13 to 17, one object for each finding.
    Obstacles,
}

impl DataSet {
    fn script(self) -> &'static str {
        match self {
            Self::Everything => include_str!("../../sql/everything.sql"),
            Self::Contrib => include_str!("../../sql/contrib.sql"),
            Self::Definitions => include_str!("../../sql/definitions.sql"),
            Self::Kept => include_str!("../../sql/kept.sql"),
            Self::Wide => include_str!("../../sql/wide.sql"),
            Self::Latin1 => include_str!("../../sql/latin1.sql"),
            Self::Bulk => include_str!("../../sql/bulk.sql"),
            Self::Obstacles => include_str!("../../sql/obstacles.sql"),
        }
    }
}

impl Database {
    /// Fills it with a data set.
    pub async fn load(&self, set: DataSet) -> anyhow::Result<()> {
        run_script(self, "postgres", set.script()).await.with_context(|| format!("failed to load {set:?}"))
    }
}

impl DatabaseBuilder {
    /// Applies the manifest, waits until the database is Ready and fills it.
    pub async fn filled_with(self, sets: &[DataSet]) -> anyhow::Result<Database> {
        let database = self.ready().await?;
        for set in sets {
            database.load(*set).await?;
        }
        Ok(database)
    }
}
