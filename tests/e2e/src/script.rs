//! SQL scripts, sent paragraph by paragraph.

use tokio_postgres::Client;

use crate::connection::explain;
use crate::database::Database;

/// Runs a script paragraph by paragraph, starting in the database `dbname`.
pub(crate) async fn run_script(database: &Database, dbname: &str, script: &str) -> anyhow::Result<()> {
    let mut client = database.connect(dbname).await?;
    for paragraph in paragraphs(script) {
        match paragraph {
            Paragraph::Connect(dbname) => client = database.connect(&dbname).await?,
            Paragraph::Sql(sql) => run(&client, sql).await?,
        }
    }
    Ok(())
}

async fn run(client: &Client, sql: &str) -> anyhow::Result<()> {
    client.batch_execute(sql).await.map_err(|error| explain(&error, sql))
}

/// A part of a script, separated from the next by a blank line.
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
    fn script_is_split_into_messages_and_connections() {
        let script = "-- why\nCREATE ROLE a;\n\n\\connect \"odd \"\"name\"\"\"\n\nSELECT 1;\nSELECT 2;\n";
        let parts: Vec<_> = paragraphs(script).collect();
        let odd = Paragraph::Connect("odd \"name\"".to_owned());
        assert_eq!(
            parts,
            [Paragraph::Sql("-- why\nCREATE ROLE a;"), odd, Paragraph::Sql("SELECT 1;\nSELECT 2;")]
        );
    }
}
