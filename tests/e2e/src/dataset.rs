//! Data that databases are filled with: the scripts in `tests/sql`.

use anyhow::Context;
use tokio_postgres::Client;

use crate::Database;
use crate::connection::{connect, explain};

/// A script of `tests/sql`.
#[derive(Clone, Copy, Debug)]
pub enum DataSet {
    /// One of each kind of object.
    Everything,
    /// The extensions that come with `PostgreSQL`, and what came after 13.
    Contrib,
    /// One table of some thousand rows.
    Kept,
    /// Four hundred tables of twelve columns.
    Wide,
    /// Text of a one-byte encoding, sorted by a language's rules.
    Latin1,
    /// Some hundred thousand rows.
    Bulk,
    /// What cannot go from 13 to 17, one object for each finding.
    Obstacles,
}

impl DataSet {
    fn script(self) -> &'static str {
        match self {
            Self::Everything => include_str!("../../sql/everything.sql"),
            Self::Contrib => include_str!("../../sql/contrib.sql"),
            Self::Kept => include_str!("../../sql/kept.sql"),
            Self::Wide => include_str!("../../sql/wide.sql"),
            Self::Latin1 => include_str!("../../sql/latin1.sql"),
            Self::Bulk => include_str!("../../sql/bulk.sql"),
            Self::Obstacles => include_str!("../../sql/obstacles.sql"),
        }
    }

    /// Fills a database with it.
    pub(crate) async fn load(self, database: &Database) -> anyhow::Result<()> {
        run_script(database, "postgres", self.script())
            .await
            .with_context(|| format!("failed to load {self:?}"))
    }
}

/// Runs a script paragraph by paragraph, and begins in the database `dbname`.
pub(crate) async fn run_script(database: &Database, dbname: &str, script: &str) -> anyhow::Result<()> {
    let mut client = connect(database, dbname).await?;
    for paragraph in paragraphs(script) {
        match paragraph {
            Paragraph::Connect(dbname) => client = connect(database, &dbname).await?,
            Paragraph::Sql(sql) => run(&client, sql).await?,
        }
    }
    Ok(())
}

async fn run(client: &Client, sql: &str) -> anyhow::Result<()> {
    client.batch_execute(sql).await.map_err(|error| explain(&error, sql))
}

/// A part of a script, parted from the next by a blank line.
#[derive(Debug, Eq, PartialEq)]
enum Paragraph<'a> {
    /// `\connect name`
    Connect(String),
    Sql(&'a str),
}

fn paragraphs(script: &str) -> impl Iterator<Item = Paragraph<'_>> {
    script.split("\n\n").map(str::trim).filter(|text| !text.is_empty()).map(|text| {
        match text.strip_prefix("\\connect ") {
            Some(name) => {
                let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
                Paragraph::Connect(quoted.unwrap_or(name).replace("\"\"", "\""))
            }
            None => Paragraph::Sql(text),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_falls_into_messages_and_connections() {
        let script = "-- why\nCREATE ROLE a;\n\n\\connect \"odd \"\"name\"\"\"\n\nSELECT 1;\nSELECT 2;\n";
        let parts: Vec<_> = paragraphs(script).collect();
        let odd = Paragraph::Connect("odd \"name\"".to_owned());
        assert_eq!(
            parts,
            [Paragraph::Sql("-- why\nCREATE ROLE a;"), odd, Paragraph::Sql("SELECT 1;\nSELECT 2;")]
        );
    }
}
