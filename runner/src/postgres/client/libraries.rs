//! Libraries that a serving server has, and output plugins that it uses.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use super::error::ServerError;
use super::query::{Lossy, strings_with, text};

/// Where the server looks for a library whose name has no path, by default.
const DEFAULT_PATH: &str = "$libdir";

/// Output plugins by name, each with the replication slots that use it.
pub type Plugins = BTreeMap<String, Vec<String>>;

/// The output plugins of the server's replication slots.
pub async fn output_plugins(client: &Client) -> Result<Plugins, ServerError> {
    let failed = ServerError::query("the output plugins of replication slots");
    let sql = "SELECT plugin::text, slot_name::text FROM pg_replication_slots \
               WHERE slot_type = 'logical' AND NOT temporary ORDER BY slot_name";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    let mut plugins = Plugins::new();
    for row in &rows {
        let (plugin, slot) = read(row).map_err(failed)?;
        plugins.entry(plugin).or_default().push(slot);
    }
    Ok(plugins)
}

/// Whether the server looks for libraries in other directories than its own.
pub async fn has_library_path(client: &Client) -> Result<bool, ServerError> {
    Ok(text(client, "dynamic_library_path", "SHOW dynamic_library_path").await? != DEFAULT_PATH)
}

/// Those of the libraries that exist in the server's pod.
pub async fn served_libraries(client: &Client, libraries: &[String]) -> Result<Vec<String>, ServerError> {
    let sql = include_str!("../sql/served_libraries.sql");
    strings_with(client, "the libraries of the server", sql, &[&libraries]).await
}
