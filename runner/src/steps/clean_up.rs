//! `CleanUp`: the old data has done its duty. The server that took its place removes it when its time has come
//! (`instance/src/retired.rs`): it sees every tablespace, and it is there when this worker is gone.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use pgops_api::plan::Step;

use super::world::say;
use super::{StepError, Upgrade};

pub(super) fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let (volume, old_major) = (&upgrade.volume, upgrade.old_major);
    let active = volume.active().map_err(StepError::volume("read which version serves"))?;
    if active != Some(upgrade.new_major) {
        return Err(StepError::Unexpected(format!(
            "the volume does not say that {} serves",
            upgrade.new_major
        )));
    }
    let within =
        volume.tablespaces_within(upgrade.new_major).map_err(StepError::volume("list the tablespaces"))?;
    if let Some(path) = within.first() {
        return Err(StepError::Unexpected(format!(
            "the data of {old_major} stays: the tablespace {} lies within a data directory",
            path.display()
        )));
    }
    // A runner that is started again keeps to the time that was said before.
    if volume.retired(old_major).map_err(unread(old_major))?.is_none() {
        let asked = upgrade.plan.keep_old_data_seconds.map(Duration::from_secs);
        let until = Timestamp::now().saturating_add(upgrade.facts()?.mode.old_data_retention(asked));
        let until = until.map_err(|error| StepError::volume("tell the time")(io::Error::other(error)))?;
        // Nothing is left to be taken back. On a full volume the old data may be all that can go.
        volume.release_reserve();
        volume.retire(old_major, until).map_err(StepError::volume("say until when the old data is kept"))?;
    }
    let kept = upgrade.kept()?;
    say(
        Step::CleanUp,
        kept.unwrap_or_else(|| format!("the data of {old_major} is removed by the new server")),
    );
    Ok(())
}

/// The error of the file that says until when the data is kept.
pub(super) fn unread(major: u32) -> impl FnOnce(io::Error) -> StepError {
    StepError::volume(format!("read until when the data of {major} is kept"))
}
