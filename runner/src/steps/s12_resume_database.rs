//! `ResumeDatabase`: the provisioner may work again.

use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    Ok(upgrade.cluster.resume().await?)
}
