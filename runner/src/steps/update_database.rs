//! `UpdateDatabase`: `spec.version` of the `Postgres` names the new version.

use crate::upgrade::{StepError, UpgradeContext};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    Ok(upgrade.cluster.set_version(&upgrade.plan.to.name).await?)
}
