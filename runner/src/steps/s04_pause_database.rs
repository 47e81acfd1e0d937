//! `PauseDatabase`: the provisioner is kept away, and the condition says by whom and why.

use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    Ok(upgrade.cluster.pause().await?)
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    Ok(upgrade.cluster.resume().await?)
}
