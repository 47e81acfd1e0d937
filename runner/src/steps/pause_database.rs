//! `PauseDatabase`: the provisioner is kept away, and the condition says by whom and why.

use pgops_api::plan::UpgradeKind;

use super::update_stateful_set_image::lead_early;
use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    Ok(upgrade.cluster.pause().await?)
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    resume(upgrade).await
}

/// Gives everything back to the provisioner that was taken from it.
pub(super) async fn resume(upgrade: &Upgrade) -> Result<(), StepError> {
    if upgrade.kind == UpgradeKind::Major {
        lead_early(upgrade, false).await;
        upgrade.cluster.pin(None).await?;
    }
    Ok(upgrade.cluster.resume().await?)
}
