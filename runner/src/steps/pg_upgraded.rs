//! `PgUpgraded`: `pg_upgrade` has run. An interrupted run is taken back and done again on a new cluster.

use std::fs;
use std::path::Path;

use pgops_api::plan::Step;
use serde::{Deserialize, Serialize};

use super::data_directory_initialized::ensure_fresh;
use super::stop_database::ensure_clean;
use super::world::{say, warn};
use super::{StepError, Upgrade};
use crate::postgres::controldata::ControlData;
use crate::postgres::pg_upgrade::{PgUpgrade, PgUpgradeError};
use crate::postgres::volume::{Marker, Volume, sync_dir};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    upgrade.exclude_all_but_waiting().await?;
    if !upgrade.volume.is(Marker::Upgraded) || !old_data_rests(upgrade).await? {
        take_back(upgrade).await?;
        let data = ensure_clean(upgrade).await?;
        ensure_fresh(upgrade).await?;
        run(upgrade, data.keeps_commit_timestamps()).await?;
        carry_settings(&upgrade.volume, upgrade.old_major, upgrade.new_major)?;
        let handover = Handover {
            old_checkpoint: old_data(upgrade).await?.map(|data| data.checkpoint().to_owned()),
            new_transaction: new_data(upgrade).await?.next_transaction().to_owned(),
        };
        serde_json::to_string(&handover)
            .map_err(std::io::Error::from)
            .and_then(|words| upgrade.volume.mark_with(Marker::Upgraded, &words))
            .map_err(StepError::volume("mark the new cluster as upgraded"))?;
    }
    // The next step may be the point of no return: a pod that will not come up is better known before.
    Ok(upgrade.cluster.refuse_broken(&upgrade.plan.to.image).await?)
}

/// Where both clusters stood when `pg_upgrade` had run; the words of [`Marker::Upgraded`].
#[derive(Deserialize, Serialize)]
struct Handover {
    /// Checkpoint of the old data, where it still has a control file.
    old_checkpoint: Option<String>,
    /// The transaction of the new cluster that would write next.
    new_transaction: String,
}

impl Handover {
    fn read(upgrade: &Upgrade) -> Result<Option<Self>, StepError> {
        let words = upgrade.volume.words_of(Marker::Upgraded);
        let words = words.map_err(StepError::volume("read where the clusters stood after pg_upgrade"))?;
        // A runner of an earlier version says nothing.
        Ok(words.and_then(|words| serde_json::from_str(&words).ok()))
    }
}

/// Whether the old data is as `pg_upgrade` left it. A server that somebody let in while no worker held the interlock
/// may have told clients that their writes are kept: the new cluster does not have them.
pub(super) async fn old_data_rests(upgrade: &Upgrade) -> Result<bool, StepError> {
    let Some(checkpoint) = Handover::read(upgrade)?.and_then(|handover| handover.old_checkpoint) else {
        return Ok(true);
    };
    Ok(old_data(upgrade).await?.is_none_or(|data| data.rests_at(&checkpoint)))
}

/// Whether nobody has written to the new cluster: its server may have answered while no worker looked.
pub(super) async fn new_data_is_unwritten(upgrade: &Upgrade) -> Result<bool, StepError> {
    // Where nothing was kept to compare with, it may have been.
    let Some(handover) = Handover::read(upgrade)? else { return Ok(false) };
    Ok(new_data(upgrade).await?.is_unwritten_since(&handover.new_transaction))
}

async fn new_data(upgrade: &Upgrade) -> Result<ControlData, StepError> {
    let pgdata = upgrade.volume.pgdata(upgrade.new_major);
    Ok(ControlData::read(&upgrade.new_installation()?, &pgdata).await?)
}

/// Control data of the old cluster, where it still has some: `pg_upgrade --link` puts it aside, and no server starts
/// without it.
async fn old_data(upgrade: &Upgrade) -> Result<Option<ControlData>, StepError> {
    if !upgrade.facts()?.mode.preserves_old_data() {
        return Ok(None);
    }
    let pgdata = upgrade.volume.pgdata(upgrade.old_major);
    Ok(Some(ControlData::read(&upgrade.old_installation()?, &pgdata).await?))
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    upgrade.exclude_all_but_waiting().await?;
    take_back(upgrade).await?;
    let major = upgrade.new_major;
    upgrade.volume.remove_new(major).map_err(StepError::volume(format!("remove the new cluster of {major}")))
}

async fn run(upgrade: &Upgrade, commit_timestamps: bool) -> Result<(), StepError> {
    let volume = &upgrade.volume;
    let facts = upgrade.facts()?;
    // From here on the new cluster is no longer as initdb left it, and a kill must not hide that.
    volume.unmark(Marker::Fresh).map_err(StepError::volume("mark the new cluster as in use"))?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let program = PgUpgrade {
        old: &upgrade.old_installation()?,
        new: &upgrade.new_installation()?,
        old_pgdata: &volume.pgdata(upgrade.old_major),
        new_pgdata: &volume.pgdata(upgrade.new_major),
        install_user: &facts.shape.install_user,
        mode: facts.mode,
        jobs,
        relations: facts.largest_database,
        drop_column_option: facts.drop_column_option,
        commit_timestamps,
        old_major: upgrade.old_major,
        new_major: upgrade.new_major,
        interlock: upgrade.interlock()?,
        scratch: &Upgrade::scratch(),
    };
    let mut stages = 0;
    let mut result = program
        .run(|stage| {
            stages += 1;
            say(Step::PgUpgraded, stage);
        })
        .await;
    if let Err(PgUpgradeError::Failed { explanation, logs, .. }) = &mut result {
        keep_logs(upgrade, logs).await;
        let wanted = facts.shape.wal_segment_bytes;
        explanation.extend(volume.free().ok().and_then(|free| want_of_room(free, wanted)));
    }
    result?;
    say(Step::PgUpgraded, format!("pg_upgrade has passed {stages} stages in {} mode", facts.mode.name()));
    Ok(())
}

/// What to say of a volume with fewer bytes free than `wanted`, the size of the pieces in which servers write WAL. Its
/// own logs would be on that volume, so `pg_upgrade` hardly can.
fn want_of_room(free: u64, wanted: u64) -> Option<String> {
    (free < wanted).then(|| {
        format!("; the volume has {} MiB free: enlarge it, or remove what is not needed", free >> 20)
    })
}

/// The logs go with the new cluster when the run is taken back: people find them in the Job's log and
/// in the request's report.
async fn keep_logs(upgrade: &Upgrade, logs: &str) {
    for line in logs.lines() {
        say(Step::PgUpgraded, line);
    }
    if let Err(error) = upgrade.cluster.write_report("pg_upgrade.log", logs).await {
        warn(Step::PgUpgraded, &error);
    }
}

/// Takes an interrupted or failed run back: no server of it is left, the old data has its control
/// file, and the tablespaces hold nothing of the new version.
async fn take_back(upgrade: &Upgrade) -> Result<(), StepError> {
    let volume = &upgrade.volume;
    upgrade.stop_leftovers().await?;
    let old_major = upgrade.old_major;
    volume
        .restore_control_file(old_major)
        .map_err(StepError::volume(format!("give the data of {old_major} its control file back")))?;
    let new_pgdata = volume.pgdata(upgrade.new_major);
    if volume.is(Marker::Fresh) || !new_pgdata.join("global/pg_control").exists() {
        return Ok(());
    }
    // Only names with the new catalog version: those of the old one hold the data.
    let data = match new_data(upgrade).await {
        Ok(data) => data,
        // An initdb that was killed, or had no room, may leave an empty one. Nothing in the tablespaces is of it, and
        // the way back must not end here.
        Err(error) => {
            warn(Step::PgUpgraded, &error);
            return Ok(());
        }
    };
    remove_from_tablespaces(volume, old_major, &data.tablespace_directory(upgrade.new_major))
}

/// Removes what `pg_upgrade` has made under `name` in the tablespaces of the old data: it blocks the next run.
fn remove_from_tablespaces(volume: &Volume, old_major: u32, name: &str) -> Result<(), StepError> {
    for tablespace in
        volume.tablespaces(old_major).map_err(StepError::volume("list the tablespaces of the old data"))?
    {
        let directory = tablespace.join(name);
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .and_then(|()| sync_dir(&tablespace))
                .map_err(StepError::volume(format!("remove {}", directory.display())))?;
        }
    }
    Ok(())
}

/// Settings of `ALTER SYSTEM` live in the data directory; everything else is generated at each start.
fn carry_settings(volume: &Volume, old_major: u32, new_major: u32) -> Result<(), StepError> {
    let file = |major| volume.pgdata(major).join("postgresql.auto.conf");
    let (from, to) = (file(old_major), file(new_major));
    if from.exists() {
        copy_durably(&from, &to).map_err(StepError::volume(format!(
            "copy {} to {}",
            from.display(),
            to.display()
        )))?;
    }
    Ok(())
}

fn copy_durably(from: &Path, to: &Path) -> std::io::Result<()> {
    crate::postgres::volume::replace(to, &fs::read(from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> (tempfile::TempDir, Volume) {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::new(root.path(), "3f9c21aa");
        for major in [13, 17] {
            fs::create_dir_all(volume.pgdata(major).join("pg_tblspc")).unwrap();
        }
        (root, volume)
    }

    #[test]
    fn a_volume_that_is_full_is_named_with_the_remedy() {
        let said = want_of_room(3 << 20, 16 << 20).unwrap();
        assert!(said.contains("3 MiB free") && said.contains("enlarge it"), "{said}");
        assert_eq!(want_of_room(17 << 20, 16 << 20), None);
    }

    #[test]
    fn settings_of_alter_system_are_carried() {
        let (_root, volume) = volume();
        let file = |major| volume.pgdata(major).join("postgresql.auto.conf");
        fs::write(file(17), "# of initdb\n").unwrap();
        carry_settings(&volume, 13, 17).unwrap();
        assert_eq!(fs::read_to_string(file(17)).unwrap(), "# of initdb\n");
        fs::write(file(13), "work_mem = '64MB'\n").unwrap();
        carry_settings(&volume, 13, 17).unwrap();
        assert_eq!(fs::read_to_string(file(17)).unwrap(), "work_mem = '64MB'\n");
    }

    #[test]
    fn of_a_tablespace_only_what_the_failed_run_made_goes() {
        let (root, volume) = volume();
        let tablespace = root.path().join("fast");
        for name in ["PG_13_202007201", "PG_17_202406281", "of-a-person"] {
            fs::create_dir_all(tablespace.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(&tablespace, volume.pgdata(13).join("pg_tblspc/16400")).unwrap();
        remove_from_tablespaces(&volume, 13, "PG_17_202406281").unwrap();
        remove_from_tablespaces(&volume, 13, "PG_17_202406281").unwrap();
        assert!(tablespace.join("PG_13_202007201").exists() && tablespace.join("of-a-person").exists());
        assert!(!tablespace.join("PG_17_202406281").exists());
    }
}
