//! `RebuildIndexes`: if the new image or version orders or parses text differently, or has other rules for time zones, indexes would
//! miss rows.
//!
//! It comes before `Analyze`: a slow plan is temporary, a duplicate that a wrong index admits is not.

mod due;
mod partitions;
mod rebuild;

use pgops_api::plan::{Reindex, Step};
use pgops_api::{display_chain, names};

use crate::postgres::answers::known::Answers;
use crate::postgres::client::catalog::databases;
use crate::postgres::collation::changes::RuleChanges;
use crate::postgres::collation::rules::{RulesBefore, RulesInUse};
use crate::postgres::collation::versions::CollationVersion;
use crate::upgrade::rebuild_progress::{ANSWERS_BEFORE, COLLATIONS_BEFORE, PROGRESS};
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
    let before = rules_before(upgrade).await?;
    let progress = upgrade.cluster.report(PROGRESS).await?;
    let progress = progress.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let ip = upgrade.wait_serving_pod(&upgrade.plan.to, MAX_POD_WAIT).await?;
    let mut all = databases(&upgrade.superuser.connect_server(&ip).await?).await?;
    // The order that progress is counted in.
    all.sort();
    let mut rebuild = Rebuild::new(upgrade, progress);
    let mut answers = Answers::default();
    for database in &all {
        match process(upgrade, &ip, &mut rebuild, database, (&before, &mut answers)).await {
            // What one database contains must not keep the others from what they need.
            Err(StepError::Server(error)) if error.is_permanent() || error.is_lock_timeout() => rebuild.add_follow_up(format!(
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

/// The rules of the old server, as the preflight has stored them. What it could not ask counts as changed.
async fn rules_before(upgrade: &UpgradeContext) -> Result<RulesBefore, StepError> {
    let collations = upgrade.cluster.report(COLLATIONS_BEFORE).await?;
    let collations: Option<Vec<CollationVersion>> =
        collations.and_then(|json| serde_json::from_str(&json).ok());
    let answers = upgrade.cluster.report(ANSWERS_BEFORE).await?;
    let answers: Option<Answers> = answers.and_then(|json| serde_json::from_str(&json).ok());
    let Some(collations) = collations else {
        return Err(StepError::LeftUndone(vec![
            "the order of text before the upgrade is unknown: check indexes on text with amcheck, and REINDEX those that \
             fail"
                .to_owned(),
        ]));
    };
    Ok(RulesBefore { collations, answers: answers.unwrap_or_default() })
}

/// Rebuilds what depends on changed rules in one database, and what release notes recommend to rebuild. `answers` has those of the new
/// server.
async fn process(
    upgrade: &UpgradeContext,
    ip: &str,
    rebuild: &mut Rebuild<'_>,
    database: &str,
    (before, answers): (&RulesBefore, &mut Answers),
) -> Result<(), StepError> {
    let mut client = upgrade.superuser.connect(ip, database).await?;
    let now = RulesInUse::read(&client, upgrade.new_major).await?;
    answers.ask(&client, &now.asked()).await?;
    let changes = RuleChanges::between(before, &now, answers, upgrade.old_major, upgrade.new_major);
    let due = rebuild.due(&client, database, upgrade.plan.reindex).await?;
    if !changes.is_empty() {
        let separate = upgrade.superuser.connect(ip, database).await?;
        return rebuild.process(&mut client, separate, database, &changes, due, upgrade.plan.reindex).await;
    }
    if due.is_empty() { Ok(()) } else { rebuild.rebuild_all(&mut client, database, &due).await }
}
