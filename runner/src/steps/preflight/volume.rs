//! The volume must have the old data where it is expected, and nothing where the new data will be.

use std::path::PathBuf;

use crate::postgres::server::scratch::Scratch;
use crate::postgres::volume::data::tablespaces_within;
use crate::postgres::volume::work_dir::Marker;
use crate::upgrade::{Finding, StepError, UpgradeContext};

/// The old data directory, of which nothing else can be said if it is not one on the volume itself.
pub fn data_directory(upgrade: &UpgradeContext) -> Result<PathBuf, StepError> {
    let data_dir = upgrade.volume.data_dir(upgrade.old_major);
    if upgrade.volume.is_own_dir(&data_dir)? {
        return Ok(data_dir);
    }
    let text = format!(
        "{} is not a directory, or reached by a symbolic link, which pgops does not follow: move the data there",
        data_dir.display()
    );
    Err(StepError::Findings(vec![Finding::new("volume-layout", text)]))
}

pub fn findings(upgrade: &UpgradeContext) -> Result<Vec<Finding>, StepError> {
    let volume = &upgrade.volume;
    let major = upgrade.old_major;
    let mut findings = Vec::new();
    let active = volume.active()?;
    if active != Some(major) {
        let active = active.map_or("no version".to_owned(), |major| format!("version {major}"));
        let text =
            format!("the volume names {active} as active, not {major}: was it created by another operator?");
        findings.push(Finding::new("volume-layout", text));
    }
    let data_dir = data_directory(upgrade)?;
    let mut outside = Vec::new();
    for tablespace in volume.tablespaces(&data_dir)? {
        if !volume.is_own_dir(&tablespace)? {
            outside.push(tablespace);
        }
    }
    if !outside.is_empty() {
        let text = format!(
            "tablespaces outside the database's volume, or reached by a link: {}; move their tables \
             elsewhere",
            list(&outside)
        );
        findings.push(Finding::new("tablespace-not-mounted", text));
    }
    let within = tablespaces_within(volume, major)?;
    if !within.is_empty() {
        let text = format!(
            "tablespaces that would be deleted with the old data: {}; move them to another directory of the volume",
            list(&within)
        );
        findings.push(Finding::new("tablespace-within-data", text));
    }
    let new = volume.data_dir(upgrade.new_major);
    if volume.tree().exists(&new)? && !upgrade.work_dir.has(Marker::NewDataOwned) {
        findings.push(Finding::existing_directory(&new));
    }
    Ok(findings)
}

/// Directories of the new version in the tablespaces: `pg_upgrade` creates them, and fails if one exists, for example
/// after a manual attempt. `scratch` is a cluster of the new version.
pub async fn left_in_tablespaces(
    upgrade: &UpgradeContext,
    scratch: &Scratch,
) -> Result<Option<Finding>, StepError> {
    let name = scratch.control_data().await?.tablespace_directory(upgrade.new_major);
    let mut left = Vec::new();
    for tablespace in upgrade.volume.tablespaces(&upgrade.volume.data_dir(upgrade.old_major))? {
        let directory = tablespace.join(&name);
        // Another finding names the others.
        if upgrade.volume.is_own_dir(&tablespace)? && upgrade.volume.tree().exists(&directory)? {
            left.push(directory);
        }
    }
    Ok((!left.is_empty()).then(|| {
        let text = format!(
            "tablespace directories of the new version exist already, from another attempt; remove them if nothing uses \
             them: {}",
            list(&left)
        );
        Finding::new("tablespace-in-the-way", text)
    }))
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
