//! `PauseDatabase`: the provisioner leaves the database alone; the condition says for whom and why. It serves until the next
//! step: so the checkpoints that shorten the outage are made here, and the preflight is repeated if clients have changed
//! what it has judged.

mod settled;

use pgops_api::plan::{Step, UpgradeKind};

use super::checkpoints;
use crate::upgrade::{StepError, UpgradeContext};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    // The preflight may have looked at them hours ago.
    upgrade.ensure_objects(&upgrade.cluster.database().await?).await?;
    match upgrade.kind {
        UpgradeKind::Major => settled::wait(upgrade).await?,
        UpgradeKind::Minor => checkpoints::run(upgrade, Step::PauseDatabase).await,
    }
    // That may have taken minutes, and the outage is next.
    upgrade.ensure_objects(&upgrade.cluster.database().await?).await?;
    upgrade.ensure_restartable().await?;
    Ok(upgrade.cluster.pause().await?)
}

pub async fn undo(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    upgrade.resume().await
}
