//! `UpdateExtensions`: what extensions keep in the databases gets the version that the new image brings.

use pgops_api::plan::Step;

use super::world::say;
use super::{StepError, Upgrade};
use crate::postgres::client::catalog::databases;
use crate::postgres::client::extensions::{outdated, update};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let (step, superuser) = (Step::UpdateExtensions, &upgrade.superuser);
    let ip = upgrade.cluster.wait_ready(&upgrade.plan.to.image).await?;
    let mut left = Vec::new();
    for database in databases(&superuser.connect(&ip, "postgres").await?).await? {
        for extension in outdated(&superuser.connect(&ip, &database).await?).await? {
            let update_of = format!(
                "extension {} of {database}: {} to {}",
                extension.name, extension.installed, extension.default
            );
            match update(superuser, &ip, upgrade.new_major, &database, extension).await? {
                None => say(step, update_of),
                Some(not_updated) => left.push(not_updated.to_string()),
            }
        }
    }
    if left.is_empty() { Ok(()) } else { Err(StepError::LeftUndone(left)) }
}
