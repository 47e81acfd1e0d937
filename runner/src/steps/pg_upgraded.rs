//! `PgUpgraded`: runs `pg_upgrade`. An interrupted run is undone and repeated on a new cluster.

mod rights;
mod rights_at_stop;

use pgops_api::bounded;
use pgops_api::plan::Step;
use pgops_volume::{FileError, Volume};

use self::rights_at_stop::{RightsAtStop, meanwhile};
use crate::postgres::pg_upgrade::{PgUpgrade, PgUpgradeError};
use crate::postgres::program::initdb;
use crate::postgres::volume::data::restore_control_file;
use crate::postgres::volume::settings_files::SettingsFiles;
use crate::postgres::volume::work_dir::Marker;
use crate::upgrade::{StepError, UpgradeContext, load_baseline, log_step, warn_step};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    upgrade.fence_old_server().await?;
    if !upgrade.work_dir.has(Marker::Upgraded) || !upgrade.is_old_data_untouched().await? {
        upgrade.ensure_own_facts()?;
        let is_first_run = upgrade.work_dir.has(Marker::Fresh);
        undo_run(upgrade).await?;
        let settings_of_old = keep_old_settings(upgrade)?;
        let data = upgrade.ensure_clean().await?;
        upgrade.ensure_fresh().await?;
        let (old, new) =
            (upgrade.volume.data_dir(upgrade.old_major), upgrade.volume.data_dir(upgrade.new_major));
        let settings_of_new = SettingsFiles::read(upgrade.volume.tree(), &new)?;
        let baseline = load_baseline(&upgrade.work_dir, upgrade.digests.as_ref())?;
        // Code of users that an interrupted run has called could have changed the old data too.
        let first = baseline.as_ref().filter(|_| is_first_run);
        let reading = first.map(|first| RightsAtStop::prepare(upgrade, first)).transpose()?.flatten();
        let reading = async { reading?.read().await };
        let run = run_pg_upgrade(upgrade, data.keeps_commit_timestamps());
        let (result, rights_at_stop) = meanwhile(Box::pin(run), Box::pin(reading)).await;
        result?;
        let rights_at_stop = rights_at_stop.flatten();
        // What code of users has started must not stand between a server and its answers.
        upgrade.agents.programs.kill_all().await?;
        settings_of_old.restore(upgrade.volume.tree(), &old)?;
        settings_of_new.restore(upgrade.volume.tree(), &new)?;
        // The server of the comparison syncs nothing, so it does not wait for the disk, which is written at the same time.
        let (compared, synced) =
            tokio::join!(rights::check(upgrade, baseline.as_ref(), rights_at_stop.as_ref()), sync(upgrade));
        compared?;
        synced?;
        // Nothing may write to what was compared.
        upgrade.agents.programs.kill_all().await?;
        // What that server has written itself, which is little.
        sync(upgrade).await?;
        settings_of_old.carry(upgrade.volume.tree(), &new)?;
        upgrade.record_handover().await?;
    }
    // The next step may be the point of no return: better to learn before it that a pod will not come up.
    upgrade.ensure_new_pod_not_broken().await
}

pub async fn undo(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    upgrade.fence_old_server().await?;
    undo_run(upgrade).await?;
    restore_old_settings(upgrade)?;
    upgrade.remove_new_cluster()
}

/// The settings of the old data as they were before code of users could write them.
fn keep_old_settings(upgrade: &UpgradeContext) -> Result<SettingsFiles, FileError> {
    let (work_dir, pgdata) = (&upgrade.work_dir, upgrade.volume.data_dir(upgrade.old_major));
    // No pg_upgrade has begun since these were written, or another client has started the old server since it ended.
    let are_current = work_dir.has(Marker::Fresh) || work_dir.has(Marker::Upgraded);
    let kept = if are_current { None } else { SettingsFiles::kept(work_dir)? };
    let settings = kept.map_or_else(|| SettingsFiles::copy(work_dir, &pgdata), Ok)?;
    settings.restore(work_dir.tree(), &pgdata)?;
    Ok(settings)
}

fn restore_old_settings(upgrade: &UpgradeContext) -> Result<(), FileError> {
    match SettingsFiles::kept(&upgrade.work_dir) {
        Ok(Some(settings)) => {
            settings.restore(upgrade.volume.tree(), &upgrade.volume.data_dir(upgrade.old_major))
        }
        Ok(None) => Ok(()),
        // The rollback must not fail here.
        Err(error) => {
            warn_step(Step::PgUpgraded, &error);
            Ok(())
        }
    }
}

/// Writes the new cluster to the disk.
async fn sync(upgrade: &UpgradeContext) -> Result<(), StepError> {
    let pgdata = upgrade.volume.data_dir(upgrade.new_major);
    Ok(initdb::sync(&upgrade.new_programs().await?, &pgdata, upgrade.interlock()?).await?)
}

async fn run_pg_upgrade(upgrade: &UpgradeContext, commit_timestamps: bool) -> Result<(), StepError> {
    let volume = &upgrade.volume;
    let facts = upgrade.facts()?;
    // From here on the new cluster is no longer as initdb left it, and a kill must not hide that.
    upgrade.work_dir.unmark(Marker::Fresh)?;
    let jobs = upgrade.agents.programs.processors().await?;
    let program = PgUpgrade {
        old: &upgrade.old_programs().await?,
        new: &upgrade.new_programs().await?,
        old_pgdata: &volume.data_dir(upgrade.old_major),
        new_pgdata: &volume.data_dir(upgrade.new_major),
        install_user: &facts.shape.install_user,
        mode: facts.mode,
        jobs,
        relations: facts.largest_database,
        drop_column_option: facts.drop_column_option,
        without_statistics: facts.without_statistics,
        settings: &facts.servers,
        commit_timestamps,
        old_major: upgrade.old_major,
        new_major: upgrade.new_major,
        interlock: upgrade.interlock()?,
        scratch: &UpgradeContext::scratch(),
    };
    let mut stages = 0;
    let mut result = program
        .run(|stage| {
            stages += 1;
            log_step(Step::PgUpgraded, stage);
        })
        .await;
    if let Err(PgUpgradeError::Failed { explanation, logs, .. }) = &mut result {
        keep_logs(upgrade, logs).await;
        let needed = facts.shape.wal_segment_bytes;
        explanation.extend(volume.space().ok().and_then(|space| full_volume_hint(space.free, needed)));
    }
    result?;
    log_step(
        Step::PgUpgraded,
        format!("pg_upgrade has passed {stages} stages in {} mode", facts.mode.name()),
    );
    Ok(())
}

/// A hint if fewer bytes are free than `needed`, the size of a WAL segment. `pg_upgrade` can hardly report it: its own
/// logs would be on that volume.
fn full_volume_hint(free: u64, needed: u64) -> Option<String> {
    (free < needed).then(|| {
        format!("; the volume has {} MiB free: enlarge it, or remove what is not needed", free >> 20)
    })
}

/// The longest that the report keeps of the logs, in bytes: it is a `ConfigMap` of at most 1 MiB, with other parts.
const MAX_REPORTED: usize = 192 << 10;

/// Keeps the logs in the Job's log and in the request's report: undoing the run deletes them with the new cluster.
async fn keep_logs(upgrade: &UpgradeContext, logs: &str) {
    for line in logs.lines() {
        log_step(Step::PgUpgraded, line);
    }
    let logs = bounded(logs, MAX_REPORTED, "\nthe rest is in the Job's log");
    if let Err(error) = upgrade.cluster.write_report("pg_upgrade.log", &logs).await {
        warn_step(Step::PgUpgraded, &error);
    }
}

/// Undoes an interrupted or failed run: none of its servers is left, the old data has its control file, and the
/// tablespaces hold nothing of the new version.
async fn undo_run(upgrade: &UpgradeContext) -> Result<(), StepError> {
    let volume = &upgrade.volume;
    upgrade.stop_leftovers().await?;
    // What else it has left, such as code of users, must not write meanwhile.
    upgrade.agents.programs.kill_all().await?;
    restore_control_file(volume, upgrade.old_major)?;
    let new_pgdata = volume.data_dir(upgrade.new_major);
    if upgrade.work_dir.has(Marker::Fresh) || !volume.tree().exists(&new_pgdata.join("global/pg_control"))? {
        return Ok(());
    }
    // Only names with the new catalog version: those of the old one hold the data.
    let data = match upgrade.new_control_data().await {
        Ok(data) => data,
        // Nothing is known of it then.
        Err(error) if error.lost_container().is_some() => return Err(error),
        // An initdb that was killed, or had no space, may leave an empty one. Nothing in the tablespaces belongs to it,
        // and the rollback must not fail here.
        Err(error) => {
            warn_step(Step::PgUpgraded, &error);
            return Ok(());
        }
    };
    Ok(remove_from_tablespaces(volume, upgrade.old_major, &data.tablespace_directory(upgrade.new_major))?)
}

/// Removes what `pg_upgrade` has created under `name` in the tablespaces of the old data: it would block the next run.
fn remove_from_tablespaces(volume: &Volume, old_major: u32, name: &str) -> Result<(), FileError> {
    for tablespace in volume.tablespaces(&volume.data_dir(old_major))? {
        // The preflight refuses others; a link that was made since then is not followed.
        if volume.is_own_dir(&tablespace)? {
            volume.tree().remove_dir(&tablespace.join(name))?;
            volume.tree().sync_dir(&tablespace)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn volume() -> (tempfile::TempDir, Volume) {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::at(root.path());
        for major in [13, 17] {
            fs::create_dir_all(volume.data_dir(major).join("pg_tblspc")).unwrap();
        }
        (root, volume)
    }

    #[test]
    fn full_volume_is_reported_with_the_remedy() {
        let hint = full_volume_hint(3 << 20, 16 << 20).unwrap();
        assert!(hint.contains("3 MiB free") && hint.contains("enlarge it"), "{hint}");
        assert_eq!(full_volume_hint(17 << 20, 16 << 20), None);
    }

    #[test]
    fn only_the_failed_runs_directories_leave_a_tablespace() {
        let (root, volume) = volume();
        let tablespace = root.path().join("fast");
        for name in ["PG_13_202007201", "PG_17_202406281", "user-files"] {
            fs::create_dir_all(tablespace.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(&tablespace, volume.data_dir(13).join("pg_tblspc/16400")).unwrap();
        remove_from_tablespaces(&volume, 13, "PG_17_202406281").unwrap();
        remove_from_tablespaces(&volume, 13, "PG_17_202406281").unwrap();
        assert!(tablespace.join("PG_13_202007201").exists() && tablespace.join("user-files").exists());
        assert!(!tablespace.join("PG_17_202406281").exists());
    }
}
