//! `DataDirectoryInitialized`: the new cluster is there and matches the old one, while that serves on.

use std::fs;

use pgops_api::plan::Step;

use super::world::say;
use super::{Finding, StepError, Upgrade};
use crate::postgres::program::initdb::initdb;
use crate::postgres::volume::Marker;

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    ensure_fresh(upgrade).await?;
    let pgdata = upgrade.volume.pgdata(upgrade.new_major);
    say(Step::DataDirectoryInitialized, format!("new cluster in {}", pgdata.display()));
    Ok(())
}

pub(super) fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let major = upgrade.new_major;
    upgrade.volume.remove_new(major).map_err(StepError::volume(format!("remove the new cluster of {major}")))
}

/// Makes the new cluster, anew if it is not as initdb left it. It is never one that has served: the
/// directory is ours only if it was not there when the preflight looked.
pub(super) async fn ensure_fresh(upgrade: &Upgrade) -> Result<(), StepError> {
    let (volume, major) = (&upgrade.volume, upgrade.new_major);
    if volume.is(Marker::Fresh) {
        return Ok(());
    }
    let pgdata = volume.pgdata(major);
    volume
        .remove_new(major)
        .map_err(StepError::volume(format!("remove the unfinished {}", pgdata.display())))?;
    if pgdata.exists() {
        return Err(StepError::Findings(vec![Finding::new(
            "directory-in-the-way",
            format!(
                "{} is there already and is not this upgrade's: move it away or remove it",
                pgdata.display()
            ),
        )]));
    }
    volume.mark(Marker::NewDataOwned).map_err(StepError::volume("mark the new data directory as ours"))?;
    if let Some(parent) = pgdata.parent() {
        fs::create_dir_all(parent).map_err(StepError::volume(format!("make {}", parent.display())))?;
    }
    initdb(&upgrade.new_installation()?, &pgdata, &upgrade.facts()?.shape).await?;
    volume.mark(Marker::Fresh).map_err(StepError::volume("mark the new cluster as fresh"))
}
