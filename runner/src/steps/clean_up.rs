//! `CleanUp`: schedules removal of the old data; the new instance deletes it when the retention expires
//! (`instance/src/retired.rs`), or when space is needed: the steps that follow write, and with clones each block that
//! changes takes new space. It sees every tablespace, and it outlives this worker.

use std::time::Duration;

use jiff::Timestamp;
use pgops_api::plan::Step;

use crate::postgres::volume::data::tablespaces_within;
use crate::upgrade::{StepError, UpgradeContext, log_step};

pub fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let old_major = upgrade.old_major;
    if !upgrade.is_switched()? {
        return Err(StepError::NotActive { major: upgrade.new_major });
    }
    let volume = &upgrade.volume;
    if let Some(tablespace) = tablespaces_within(volume, upgrade.new_major)?.into_iter().next() {
        return Err(StepError::TablespaceWithinData { major: old_major, tablespace });
    }
    // A restarted runner keeps the time that was set before.
    if upgrade.retired_until()?.is_none() {
        let requested = upgrade.plan.keep_old_data_seconds.map(Duration::from_secs);
        let until = Timestamp::now().saturating_add(upgrade.facts()?.mode.old_data_retention(requested));
        let until = until.map_err(StepError::Retention)?;
        if volume.retire(old_major, until).is_err() {
            // On a full volume the old data may be all that can be deleted, and nothing is left to undo.
            upgrade.work_dir.release_reserve();
            volume.retire(old_major, until)?;
        }
    }
    let kept = upgrade.kept_old_data()?;
    log_step(
        Step::CleanUp,
        kept.unwrap_or_else(|| format!("the data of {old_major} is removed by the new server")),
    );
    Ok(())
}
