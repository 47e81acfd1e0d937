//! `DataDirectoryInitialized`: creates the new cluster to match the old one, while the old one serves.

use pgops_api::plan::Step;

use crate::upgrade::{StepError, UpgradeContext, log_step};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    upgrade.ensure_fresh().await?;
    let pgdata = upgrade.volume.data_dir(upgrade.new_major);
    log_step(Step::DataDirectoryInitialized, format!("new cluster in {}", pgdata.display()));
    Ok(())
}

pub fn undo(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    upgrade.remove_new_cluster()
}
