//! `ReplacedDataDirectory`: the volume says that the new data directory serves: one atomic rename.

use pgops_api::plan::Step;

use super::pg_upgraded::{new_data_is_unwritten, old_data_rests};
use super::start_database::refuse_once_answered;
use super::world::say;
use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    // After a kill the new server may be at work already, and then it is not stopped again.
    if !upgrade.is_switched()? {
        upgrade.exclude_all_but_waiting().await?;
        if !old_data_rests(upgrade).await? {
            return Err(StepError::Unexpected(format!(
                "somebody let the server of {} in after pg_upgrade had run, and it may have taken writes: apply a new \
                 request, and leave the workload alone meanwhile",
                upgrade.plan.from.name
            )));
        }
    }
    switch(upgrade, upgrade.new_major)
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    refuse_once_answered(upgrade).await?;
    upgrade.exclude_all_but_waiting().await?;
    if upgrade.is_switched()? && !new_data_is_unwritten(upgrade).await? {
        // No other has everything: it is started again.
        return Err(StepError::NoWayBack("has run"));
    }
    switch(upgrade, upgrade.old_major)
}

fn switch(upgrade: &Upgrade, major: u32) -> Result<(), StepError> {
    upgrade
        .volume
        .set_active(major)
        .map_err(StepError::volume(format!("write that version {major} serves")))?;
    say(Step::ReplacedDataDirectory, format!("{} serves", upgrade.volume.pgdata(major).display()));
    Ok(())
}
