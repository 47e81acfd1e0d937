//! `ResumeDatabase`: the provisioner manages the database again.

use crate::upgrade::{StepError, UpgradeContext};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    upgrade.resume().await
}
