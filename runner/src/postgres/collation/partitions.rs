//! Partitions with rows that belong to another partition under the new text rules.

use tokio_postgres::{Client, Row};

use super::changes::Dependents;
use crate::postgres::client::error::ServerError;

/// The planner would trust the very bounds that are in doubt, and indexes that may be.
const PLANNER_SETTINGS: &str = "SET constraint_exclusion = off; SET enable_partition_pruning = off; SET enable_indexscan = off; \
                        SET enable_indexonlyscan = off; SET enable_bitmapscan = off";

struct Partition {
    name: String,
    root: String,
    bounds: String,
    /// Whether its key uses a user-defined function or type, which would run as superuser.
    uses_user_code: bool,
}

/// A sentence for each partition with rows that queries look for in another one, or that cannot be checked.
pub async fn misrouted_rows(client: &Client, dependents: &Dependents) -> Result<Vec<String>, ServerError> {
    let failed = ServerError::query("rows in the wrong partition");
    client.batch_execute(PLANNER_SETTINGS).await.map_err(failed)?;
    let sql = include_str!("../sql/partitions_by_text.sql");
    let rows = client.query(sql, &[&dependents.reordered, &dependents.pattern]).await.map_err(failed)?;
    let mut found = Vec::new();
    for row in &rows {
        let partition = Partition::read(row).map_err(failed)?;
        if partition.uses_user_code {
            found.push(partition.unchecked());
            continue;
        }
        let rows: i64 = client
            .query_one(&partition.count_query(), &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(failed)?;
        if rows > 0 {
            found.push(partition.with_misrouted(rows));
        }
    }
    Ok(found)
}

impl Partition {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            name: row.try_get(0)?,
            root: row.try_get(1)?,
            bounds: row.try_get(2)?,
            uses_user_code: row.try_get(3)?,
        })
    }

    fn count_query(&self) -> String {
        format!("SELECT count(*) FROM {} WHERE NOT ({})", self.name, self.bounds)
    }

    fn unchecked(&self) -> String {
        format!(
            "rows of {} may belong to another partition of {} now; its key uses a user-defined function or type, so check \
             it yourself: {}",
            self.name,
            self.root,
            self.count_query()
        )
    }

    fn with_misrouted(&self, rows: i64) -> String {
        format!(
            "{rows} rows of {} belong to another partition of {root} now, and queries miss them: to move them, SET \
             enable_partition_pruning = off and UPDATE {root}, setting a column of its key to itself",
            self.name,
            root = self.root
        )
    }
}
