//! `UpdateExtensions`: updates the SQL objects of extensions to the version that the new image has.

use pgops_api::plan::Step;

use crate::postgres::client::catalog::databases;
use crate::postgres::client::extensions::{outdated, update};
use crate::upgrade::{StepError, UpgradeContext, log_step};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let superuser = &upgrade.superuser;
    let ip = upgrade.cluster.wait_ready(&upgrade.plan.to.image).await?;
    let mut left = Vec::new();
    for database in databases(&superuser.connect(&ip, "postgres").await?).await? {
        let client = superuser.connect(&ip, &database).await?;
        for extension in outdated(&client, upgrade.new_major).await? {
            let updated = format!(
                "extension {} of {database}: {} to {}",
                extension.name, extension.installed, extension.default
            );
            match update(superuser, &ip, upgrade.new_major, &database, extension).await? {
                None => log_step(Step::UpdateExtensions, updated),
                Some(not_updated) => left.push(not_updated.to_string()),
            }
        }
    }
    if left.is_empty() { Ok(()) } else { Err(StepError::LeftUndone(left)) }
}
