//! `RebuildIndexes`: if the new image or version orders or parses text differently, indexes on text would miss rows.
//!
//! It comes before `Analyze`: a slow plan is temporary, a duplicate that a wrong index admits is not.

mod due;
mod partitions;
mod rebuild;

use pgops_api::plan::{Reindex, Step};
use pgops_api::{display_chain, names};

use crate::postgres::client::catalog::databases;
use crate::postgres::collation::changes::TextChanges;
use crate::postgres::collation::versions::{CollationVersion, collations_in_use};
use crate::upgrade::rebuild_progress::{COLLATIONS_BEFORE, PROGRESS};
use crate::upgrade::{MAX_POD_WAIT, StepError, UpgradeContext, log_step};
use rebuild::{MAX_FAILURES, Rebuild};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    if upgrade.plan.reindex == Reindex::Off {
        log_step(
            Step::RebuildIndexes,
            format!("the order of text is not compared: {}", names::ANNOTATION_REINDEX),
        );
        return Ok(());
    }
    let before = upgrade.cluster.report(COLLATIONS_BEFORE).await?;
    let before: Vec<CollationVersion> = before.and_then(|json| serde_json::from_str(&json).ok()).ok_or_else(|| {
        StepError::LeftUndone(vec![
            "the order of text before the upgrade is unknown: check indexes on text with amcheck, and REINDEX those that \
             fail"
                .to_owned(),
        ])
    })?;
    let progress = upgrade.cluster.report(PROGRESS).await?;
    let progress = progress.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let ip = upgrade.wait_serving_pod(&upgrade.plan.to, MAX_POD_WAIT).await?;
    let mut all = databases(&upgrade.superuser.connect_server(&ip).await?).await?;
    // The order that progress is counted in.
    all.sort();
    let mut rebuild = Rebuild::new(upgrade, progress);
    for database in &all {
        match process(upgrade, &ip, &mut rebuild, database, &before).await {
            // What one database contains must not keep the others from what they need.
            Err(StepError::Server(error)) if error.is_permanent() => rebuild.add_follow_up(format!(
                "database \"{database}\": not all of its indexes on text were examined and rebuilt: {}; fix the cause, then run \
                 REINDEX DATABASE there",
                display_chain(&error)
            )),
            result => result?,
        }
        if rebuild.has_too_many_failures() {
            rebuild.add_follow_up(format!(
                "stopped after {MAX_FAILURES} failures; fix their common cause and run REINDEX for the rest"
            ));
            break;
        }
    }
    rebuild.finish(all.len()).await
}

/// Rebuilds what depends on text in one database, and what release notes recommend to rebuild.
async fn process(
    upgrade: &UpgradeContext,
    ip: &str,
    rebuild: &mut Rebuild<'_>,
    database: &str,
    before: &[CollationVersion],
) -> Result<(), StepError> {
    let mut client = upgrade.superuser.connect(ip, database).await?;
    let now = collations_in_use(&client, upgrade.new_major).await?;
    let changes = TextChanges::between(before, &now, upgrade.old_major, upgrade.new_major);
    let due = rebuild.due(&client, database, upgrade.plan.reindex).await?;
    if !changes.is_empty() {
        let separate = upgrade.superuser.connect(ip, database).await?;
        return rebuild.process(&mut client, separate, database, &changes, due, upgrade.plan.reindex).await;
    }
    if due.is_empty() { Ok(()) } else { rebuild.rebuild_all(&mut client, database, &due).await }
}
