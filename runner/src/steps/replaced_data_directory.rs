//! `ReplacedDataDirectory`: the switchover. The new version becomes active on the volume by one atomic rename.

use pgops_api::plan::Step;

use crate::upgrade::{StepError, UpgradeContext, log_step};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    // After a kill the new server may be running already, and then it is not stopped again.
    if !upgrade.is_switched()? {
        upgrade.fence_old_server().await?;
        if !upgrade.is_old_data_untouched().await? {
            return Err(StepError::OldServerRan { version: upgrade.plan.from.name.clone() });
        }
    }
    set_active(upgrade, upgrade.new_major)
}

pub async fn undo(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    upgrade.ensure_new_server_unanswered().await?;
    upgrade.fence_old_server().await?;
    if upgrade.is_switched()? && !upgrade.is_new_data_unwritten().await? {
        // Only the new cluster has everything: it is started again.
        return Err(StepError::UndoUnsafe("has run"));
    }
    set_active(upgrade, upgrade.old_major)
}

fn set_active(upgrade: &UpgradeContext, major: u32) -> Result<(), StepError> {
    upgrade.volume.set_active(major)?;
    log_step(
        Step::ReplacedDataDirectory,
        format!("{} is the active data directory", upgrade.volume.data_dir(major).display()),
    );
    Ok(())
}
