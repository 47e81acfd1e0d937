//! `DataDirectoryInitialized`: the new cluster is there and matches the old one, while that serves on.

use std::fs;
use std::path::Path;

use pgops_api::plan::Step;
use pgops_api::{layout, serverconf};

use super::world::say;
use super::{Finding, StepError, Upgrade};
use crate::postgres::command::{CommandError, Program};
use crate::postgres::initdb::initdb;
use crate::postgres::volume::Marker;

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    ensure_fresh(upgrade).await?;
    check_configuration(upgrade).await?;
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
    volume.mark(Marker::OwnsNew).map_err(StepError::volume("mark the new data directory as ours"))?;
    if let Some(parent) = pgdata.parent() {
        fs::create_dir_all(parent).map_err(StepError::volume(format!("make {}", parent.display())))?;
    }
    initdb(&upgrade.new_installation()?, &pgdata, &upgrade.facts()?.shape).await?;
    volume.mark(Marker::Fresh).map_err(StepError::volume("mark the new cluster as fresh"))
}

/// The target's server must accept the settings that it will be started with: those of `user.conf`,
/// and those of `ALTER SYSTEM`. A setting that it no longer knows would keep it from starting.
async fn check_configuration(upgrade: &Upgrade) -> Result<(), StepError> {
    let scratch = Upgrade::scratch();
    fs::create_dir_all(&scratch).map_err(StepError::volume(format!("make {}", scratch.display())))?;
    let stored = upgrade.volume.pgdata(upgrade.old_major).join("postgresql.auto.conf");
    let mut text = serverconf::postgresql_conf(&upgrade.volume.pgdata(upgrade.new_major));
    if stored.exists() {
        text.extend(["include = '", &stored.display().to_string(), "'\n"]);
    }
    let file = scratch.join("merged.conf");
    fs::write(&file, text).map_err(StepError::volume(format!("write {}", file.display())))?;
    let check = Program::new(upgrade.new_installation()?.program("postgres"))
        .arg("-C")
        .arg("data_directory")
        .arg("-D")
        .arg(upgrade.volume.pgdata(upgrade.new_major))
        .arg("-c")
        .arg(format!("config_file={}", file.display()));
    match check.output().await {
        Ok(_) => Ok(()),
        Err(CommandError::Ended { tail, .. }) => Err(StepError::Findings(vec![Finding::new(
            "configuration",
            format!(
                "PostgreSQL {} does not start with the settings of {} and of ALTER SYSTEM; remove what it names: {tail}",
                upgrade.plan.to.version,
                Path::new(layout::CONFIG_DIR).join(pgops_api::names::USER_CONF).display(),
            ),
        )])),
        Err(error) => Err(error.into()),
    }
}
