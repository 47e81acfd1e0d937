//! What the other image changes about rules of text and time. No definition of users is restored: the scratch server only has the same
//! collations, and the system catalog of the serving database says what depends on them.

use pgops_api::plan::Step;
use tokio_postgres::Client;

use crate::postgres::answers::known::Answers;
use crate::postgres::collation::changes::RuleChanges;
use crate::postgres::collation::rules::{RulesBefore, RulesInUse};
use crate::postgres::collation::target_answers::ask_target;
use crate::postgres::collation::target_versions::{target_versions, with_target_versions};
use crate::postgres::server::scratch::Scratch;
use crate::steps::preflight::text_order::{self, Dependent};
use crate::upgrade::{Finding, StepError, UpgradeContext, warn_step};

/// The notes about what the image would sort or compute differently; `client` is connected to its scratch server. It is looked for
/// again after the outage, so a failure is a warning.
pub async fn notes(
    upgrade: &UpgradeContext,
    ip: &str,
    (scratch, client): (&Scratch, &Client),
    before: Option<&RulesBefore>,
    databases: &[String],
) -> Vec<Finding> {
    let Some(before) = before else { return Vec::new() };
    match dependents(upgrade, ip, (scratch, client), before, databases).await {
        Ok(dependents) => text_order::note(&dependents, upgrade.plan.reindex),
        Err(error) => {
            warn_step(Step::Preflight, &error);
            Vec::new()
        }
    }
}

async fn dependents(
    upgrade: &UpgradeContext,
    ip: &str,
    (scratch, client): (&Scratch, &Client),
    before: &RulesBefore,
    databases: &[String],
) -> Result<Vec<Dependent>, StepError> {
    let major = upgrade.new_major;
    let target = target_versions(client, &before.collations).await?;
    let mut answers = Answers::default();
    let mut dependents = Vec::new();
    for database in databases {
        let serving = upgrade.superuser.connect(ip, database).await?;
        let mut now = RulesInUse::read(&serving, major).await?;
        now.collations = with_target_versions(now.collations, &target);
        ask_target(&mut answers, scratch, client, &now.asked(), major).await?;
        let changes = RuleChanges::between(before, &now, &answers, major, major);
        dependents.extend(text_order::dependents(&serving, &serving, major, &changes, database).await?);
    }
    Ok(dependents)
}
