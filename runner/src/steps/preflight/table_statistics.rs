//! What the planner knows of the largest tables now: `Analyze` compares it.

use pgops_api::plan::Step;

use crate::postgres::client::error::ServerError;
use crate::postgres::client::side_by_side::{connect_in_turn, side_by_side};
use crate::postgres::table_statistics::{DatabaseStatistics, largest_of_all, largest_tables};
use crate::upgrade::{UpgradeContext, warn_step};

/// Reads it. A database that cannot be asked is left out: the upgrade does not depend on it.
pub async fn read(upgrade: &UpgradeContext, ip: &str, databases: &[String]) -> Vec<DatabaseStatistics> {
    let read = side_by_side(databases, |database| async move {
        let tables = async {
            largest_tables(&connect_in_turn(&upgrade.superuser, ip, database).await?, upgrade.old_major).await
        };
        let tables = tables.await.unwrap_or_else(|error| {
            warn_step(Step::Preflight, &error);
            Vec::new()
        });
        Ok::<_, ServerError>(DatabaseStatistics { database: database.to_owned(), tables })
    });
    largest_of_all(read.await.unwrap_or_default())
}
