//! What an extension is in a serving database.

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, texts};

/// An extension in one database.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExtensionState {
    pub name: String,
    pub version: String,
    /// The version that `ALTER EXTENSION … UPDATE` leads to on the serving server, if its image has the extension.
    pub offered: Option<String>,
    /// Whether tables or materialized views belong to it.
    pub has_tables: bool,
    /// How many objects that do not belong to it depend on it.
    pub dependents: usize,
    /// The first few of those.
    pub some_dependents: Vec<String>,
}

/// Those extensions of the database that `client` is connected to.
pub async fn states(client: &Client, names: &[String]) -> Result<Vec<ExtensionState>, ServerError> {
    let failed = ServerError::query("the state of extensions");
    let rows = client.query(include_str!("../sql/extension_states.sql"), &[&names]).await.map_err(failed)?;
    let read = |row: &Row| {
        Ok(ExtensionState {
            name: row.try_get::<_, Lossy>(0)?.0,
            version: row.try_get(1)?,
            offered: row.try_get(2)?,
            has_tables: row.try_get(3)?,
            dependents: usize::try_from(row.try_get::<_, i64>(4)?).unwrap_or_default(),
            some_dependents: texts(row, 5)?,
        })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}
