//! `PauseDatabase`: the provisioner leaves the database alone; the condition says for whom and why.

use crate::upgrade::{StepError, UpgradeContext};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    // The preflight may have looked at them hours ago.
    upgrade.ensure_objects(&upgrade.cluster.database().await?).await?;
    Ok(upgrade.cluster.pause().await?)
}

pub async fn undo(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    upgrade.resume().await
}
