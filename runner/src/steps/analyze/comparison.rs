//! Compares what the planner knows of the largest tables with what the preflight has stored.

use pgops_api::plan::Step;

use crate::postgres::client::error::ServerError;
use crate::postgres::table_statistics::compare::compare;
use crate::postgres::table_statistics::{DatabaseStatistics, same_tables};
use crate::upgrade::{StepError, UpgradeContext, load_statistics, log_step, warn_step};

/// Part of the report: what the planner knew before, and knows now.
const STATISTICS: &str = "statistics";

/// Reports the result. That it cannot be compared is a warning.
pub async fn report(upgrade: &UpgradeContext, ip: &str) {
    if let Err(error) = perform(upgrade, ip).await {
        warn_step(Step::Analyze, &error);
    }
}

async fn perform(upgrade: &UpgradeContext, ip: &str) -> Result<(), StepError> {
    let before = load_statistics(&upgrade.work_dir)?;
    let mut after = Vec::new();
    for database in &before {
        match read(upgrade, ip, database).await {
            Ok(found) => after.push(found),
            Err(error) => warn_step(Step::Analyze, &error),
        }
    }
    let Some(comparison) = compare(&before, &after) else { return Ok(()) };
    for line in comparison.table.lines() {
        log_step(Step::Analyze, line);
    }
    let mut report = vec![comparison.table];
    for warning in comparison.warnings {
        tracing::warn!(step = %Step::Analyze, "{warning}");
        report.push(format!("warning: {warning}"));
    }
    upgrade.cluster.write_report(STATISTICS, &report.join("\n")).await?;
    Ok(())
}

async fn read(
    upgrade: &UpgradeContext,
    ip: &str,
    before: &DatabaseStatistics,
) -> Result<DatabaseStatistics, ServerError> {
    let client = upgrade.superuser.connect(ip, &before.database).await?;
    let tables = same_tables(&client, upgrade.new_major, &before.tables).await?;
    Ok(DatabaseStatistics { database: before.database.clone(), tables })
}
