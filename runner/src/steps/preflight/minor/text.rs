//! What the other image changes about the order of text. No definition of users is restored: the scratch server only has the same
//! collations, and the system catalog of the serving database says what depends on them.

use pgops_api::plan::Step;

use crate::postgres::collation::target_versions::target_versions;
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::server::scratch::Scratch;
use crate::postgres::server_settings::ServerSettings;
use crate::steps::preflight::text_order::{self, Dependent};
use crate::upgrade::{Finding, StepError, UpgradeContext, warn_step};

/// The notes about indexes on text that the image would sort differently. They are looked for again after the outage, so a
/// failure is a warning.
pub async fn notes(
    upgrade: &UpgradeContext,
    ip: &str,
    cluster: &Scratch,
    before: Option<&[CollationVersion]>,
    databases: &[String],
) -> Vec<Finding> {
    let Some(before) = before else { return Vec::new() };
    match dependents(upgrade, ip, cluster, before, databases).await {
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
    cluster: &Scratch,
    before: &[CollationVersion],
    databases: &[String],
) -> Result<Vec<Dependent>, StepError> {
    cluster.start(upgrade.new_major, 0, &ServerSettings::default()).await?;
    let target = target_versions(&cluster.connect("postgres").await?, before).await?;
    let mut dependents = Vec::new();
    for database in databases {
        let serving = upgrade.superuser.connect(ip, database).await?;
        let found = text_order::dependents(upgrade, ip, &serving, before, Some(&target), database).await?;
        dependents.extend(found);
    }
    Ok(dependents)
}
