//! What the other image changes about the order of text. No definition of users is restored: the scratch server only has the same
//! collations, and the system catalog of the serving database says what depends on them.

use pgops_api::plan::Step;
use tokio_postgres::Client;

use crate::postgres::collation::target_versions::target_versions;
use crate::postgres::collation::versions::CollationVersion;
use crate::steps::preflight::text_order::{self, Dependent};
use crate::upgrade::{Finding, StepError, UpgradeContext, warn_step};

/// The notes about indexes on text that the image would sort differently; `scratch` is connected to its scratch server. They are
/// looked for again after the outage, so a failure is a warning.
pub async fn notes(
    upgrade: &UpgradeContext,
    ip: &str,
    scratch: &Client,
    before: Option<&[CollationVersion]>,
    databases: &[String],
) -> Vec<Finding> {
    let Some(before) = before else { return Vec::new() };
    match dependents(upgrade, ip, scratch, before, databases).await {
        Ok(dependents) => text_order::note(&dependents, upgrade.plan.reindex).into_iter().collect(),
        Err(error) => {
            warn_step(Step::Preflight, &error);
            Vec::new()
        }
    }
}

async fn dependents(
    upgrade: &UpgradeContext,
    ip: &str,
    scratch: &Client,
    before: &[CollationVersion],
    databases: &[String],
) -> Result<Vec<Dependent>, StepError> {
    let target = target_versions(scratch, before).await?;
    let mut dependents = Vec::new();
    for database in databases {
        let serving = upgrade.superuser.connect(ip, database).await?;
        let found = text_order::dependents(upgrade, ip, &serving, before, Some(&target), database).await?;
        dependents.extend(found);
    }
    Ok(dependents)
}
