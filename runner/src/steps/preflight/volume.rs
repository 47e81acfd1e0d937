//! The volume must have the old data where it is expected, and nothing where the new will be.

use std::path::PathBuf;

use pgops_api::plan::TransferMode;

use super::super::{Finding, StepError, Upgrade};
use super::space::{Space, new_cluster};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::program::controldata::ControlData;
use crate::postgres::server::scratch::Scratch;
use crate::postgres::volume::Marker;

pub(super) fn findings(upgrade: &Upgrade) -> Result<Vec<Finding>, StepError> {
    let (volume, major, mut findings) = (&upgrade.volume, upgrade.old_major, Vec::new());
    let active = volume.active().map_err(StepError::volume("read which version serves"))?;
    if active != Some(major) {
        let active = active.map_or("no version".to_owned(), |major| format!("version {major}"));
        let text =
            format!("the volume says that {active} serves, not {major}: was it made by another operator?");
        findings.push(Finding::new("volume-layout", text));
    }
    let all = volume.tablespaces(major).map_err(StepError::volume("list the tablespaces"))?;
    let unseen: Vec<_> = all.into_iter().filter(|path| !path.is_dir()).collect();
    if !unseen.is_empty() {
        findings.push(Finding::new(
            "tablespace-not-mounted",
            format!("are not on the database's volume; move their tables to another: {}", list(&unseen)),
        ));
    }
    let within = volume.tablespaces_within(major).map_err(StepError::volume("list the tablespaces"))?;
    if !within.is_empty() {
        findings.push(Finding::new(
            "tablespace-within-data",
            format!(
                "would go with the old data; move them to another directory of the volume: {}",
                list(&within)
            ),
        ));
    }
    let new = volume.pgdata(upgrade.new_major);
    if new.symlink_metadata().is_ok() && !volume.is(Marker::NewDataOwned) {
        findings.push(Finding::new(
            "directory-in-the-way",
            format!(
                "{} is there already and is not this upgrade's: move it away or remove it",
                new.display()
            ),
        ));
    }
    Ok(findings)
}

/// `pg_upgrade` makes a directory of the new version in each tablespace, and fails where there is one: an attempt
/// by hand may have left it. `scratch` is a cluster of the new version.
pub(super) async fn left_in_tablespaces(
    upgrade: &Upgrade,
    scratch: &Scratch,
) -> Result<Option<Finding>, StepError> {
    let data = ControlData::read(&upgrade.new_installation()?, &scratch.pgdata()).await?;
    let name = data.tablespace_directory(upgrade.new_major);
    let all =
        upgrade.volume.tablespaces(upgrade.old_major).map_err(StepError::volume("list the tablespaces"))?;
    let left: Vec<_> = all.iter().map(|path| path.join(&name)).filter(|path| path.exists()).collect();
    Ok((!left.is_empty()).then(|| {
        let text = format!(
            "the new version's directories of tablespaces are there already, from another attempt; remove them if \
             nothing uses them: {}",
            list(&left)
        );
        Finding::new("tablespace-in-the-way", text)
    }))
}

pub(super) fn space(upgrade: &Upgrade, inventory: &Inventory) -> Result<Space, StepError> {
    let volume = &upgrade.volume;
    Ok(Space {
        reflink: TransferMode::Clone.since() <= upgrade.new_major && volume.can_reflink(),
        new: new_cluster(inventory.databases.len(), inventory.relations, inventory.shape.wal_segment_bytes),
        used: volume.size(upgrade.old_major).map_err(StepError::volume("measure the data directory"))?,
        free: volume.free().map_err(StepError::volume("measure the free space of the volume"))?,
    })
}

/// Looks again whether there is the room that the chosen mode needs; what the new cluster takes already is part of it.
pub(in crate::steps) fn ensure_room(upgrade: &Upgrade) -> Result<(), StepError> {
    let (facts, volume) = (upgrade.facts()?, &upgrade.volume);
    let taken = volume.size(upgrade.new_major).map_err(StepError::volume("measure the new cluster"))?;
    let free = volume.free().map_err(StepError::volume("measure the free space of the volume"))?;
    let space = Space {
        reflink: facts.mode == TransferMode::Clone,
        new: new_cluster(facts.databases.len(), facts.relations, facts.shape.wal_segment_bytes),
        used: facts.bytes,
        free: free + taken,
    };
    space.choose(Some(facts.mode)).map(drop).map_err(|finding| StepError::Findings(vec![finding]))
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
