//! What the planner knows of the largest tables now: `Analyze` compares it.

use pgops_api::plan::{Scope, Step};
use tokio_postgres::Client;

use crate::postgres::table_statistics::{
    DatabaseStatistics, TableStatistics, largest_of_all, largest_tables,
};
use crate::upgrade::{UpgradeContext, warn_step};

/// Reads it in the database that `client` is connected to, if the upgrade continues after the preflight. A database that cannot be
/// asked is left out: the upgrade does not depend on it.
pub async fn read(upgrade: &UpgradeContext, client: &Client) -> Vec<TableStatistics> {
    match upgrade.plan.scope {
        Scope::DryRun => Vec::new(),
        Scope::Upgrade => largest_tables(client, upgrade.old_major).await.unwrap_or_else(|error| {
            warn_step(Step::Preflight, &error);
            Vec::new()
        }),
    }
}

/// The largest tables of the whole server, of which `read` has those of each database.
pub fn largest(databases: &[String], read: Vec<Vec<TableStatistics>>) -> Vec<DatabaseStatistics> {
    let of_database = |(database, tables): (&String, Vec<TableStatistics>)| DatabaseStatistics {
        database: database.clone(),
        tables,
    };
    largest_of_all(databases.iter().zip(read).map(of_database).collect())
}
