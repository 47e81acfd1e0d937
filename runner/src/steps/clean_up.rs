//! `CleanUp`: the old data goes, now that the new server was accepted and serves.

use std::fs;
use std::io;

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
    let prefix = format!("PG_{old_major}_");
    for tablespace in volume.tablespaces(old_major).map_err(StepError::volume("list the old tablespaces"))? {
        let entries =
            fs::read_dir(&tablespace).map_err(StepError::volume(format!("list {}", tablespace.display())))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                remove(&entry.path())?;
            }
        }
    }
    volume.remove_pgdata(old_major).map_err(StepError::volume(format!("remove the data of {old_major}")))?;
    say(Step::CleanUp, format!("the data of {old_major} is removed"));
    Ok(())
}

fn remove(path: &std::path::Path) -> Result<(), StepError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StepError::volume(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}
