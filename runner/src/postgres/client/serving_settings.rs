//! Settings of the serving server, and its logical replication slots, which decide what the upgrade's own servers need.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use super::error::ServerError;
use super::query::Lossy;
use crate::postgres::server_settings::Capacity;

/// Libraries that the server preloads.
const PRELOAD: &str = "shared_preload_libraries";
/// The output plugins that a server loads at all, since 14.24, 15.19, 16.15, 17.11 and 18.6.
pub const OUTPUT_PLUGINS: &str = "output_plugin_libraries";

/// A logical replication slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogicalSlot {
    pub name: String,
    pub plugin: String,
}

/// What is known of the serving server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServingSettings {
    pub capacity: Capacity,
    /// The value of `shared_preload_libraries`.
    pub preload: String,
    /// Its logical replication slots that outlive their sessions, by name.
    pub slots: Vec<LogicalSlot>,
}

/// Reads them.
pub async fn serving_settings(client: &Client) -> Result<ServingSettings, ServerError> {
    let mut settings = settings(client).await?;
    Ok(ServingSettings {
        capacity: Capacity::read(|name| settings.get(name).map(String::as_str)),
        preload: settings.remove(PRELOAD).unwrap_or_default(),
        slots: slots(client).await?,
    })
}

/// The values of those settings that the server has.
async fn settings(client: &Client) -> Result<BTreeMap<String, String>, ServerError> {
    let failed = ServerError::query("the settings of the server");
    let names: Vec<_> = Capacity::SETTINGS.into_iter().chain([PRELOAD]).collect();
    let sql = "SELECT name, setting FROM pg_settings WHERE name = ANY ($1)";
    let rows = client.query(sql, &[&names]).await.map_err(failed)?;
    let pair = |row: &Row| Ok((row.try_get(0)?, row.try_get::<_, Lossy>(1)?.0));
    rows.iter().map(pair).collect::<Result<_, _>>().map_err(failed)
}

async fn slots(client: &Client) -> Result<Vec<LogicalSlot>, ServerError> {
    let failed = ServerError::query("the logical replication slots");
    let sql = "SELECT slot_name::text, plugin::text FROM pg_replication_slots \
               WHERE slot_type = 'logical' AND NOT temporary ORDER BY slot_name";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let slot = |row: &Row| {
        Ok(LogicalSlot { name: row.try_get::<_, Lossy>(0)?.0, plugin: row.try_get::<_, Lossy>(1)?.0 })
    };
    rows.iter().map(slot).collect::<Result<_, _>>().map_err(failed)
}
