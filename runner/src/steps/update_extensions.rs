//! `UpdateExtensions`: updates the SQL objects of extensions to the version that the new image has.

use pgops_api::display_chain;
use pgops_api::plan::Step;

use crate::postgres::client::catalog::databases;
use crate::postgres::client::extensions::{outdated, update};
use crate::upgrade::{StepError, UpgradeContext, log_step};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let ip = upgrade.cluster.wait_ready(&upgrade.plan.to.image).await?;
    let mut left = Vec::new();
    for database in databases(&upgrade.superuser.connect_server(&ip).await?).await? {
        match process(upgrade, &ip, &database, &mut left).await {
            // What one database contains must not keep the others from what they need.
            Err(StepError::Server(error)) if error.is_permanent() => left.push(format!(
                "database \"{database}\": not all of its extensions were examined and updated: {}; fix the cause, then run \
                 ALTER EXTENSION … UPDATE there",
                display_chain(&error)
            )),
            result => result?,
        }
    }
    if left.is_empty() { Ok(()) } else { Err(StepError::LeftUndone(left)) }
}

/// Updates the extensions of one database, and adds those that were not updated to `left`.
async fn process(
    upgrade: &UpgradeContext,
    ip: &str,
    database: &str,
    left: &mut Vec<String>,
) -> Result<(), StepError> {
    let client = upgrade.superuser.connect(ip, database).await?;
    for extension in outdated(&client, upgrade.new_major).await? {
        let updated = format!(
            "extension {} of {database}: {} to {}",
            extension.name, extension.installed, extension.default
        );
        match update(&upgrade.superuser, ip, upgrade.new_major, database, extension).await? {
            None => log_step(Step::UpdateExtensions, updated),
            Some(not_updated) => left.push(not_updated.to_string()),
        }
    }
    Ok(())
}
