//! Removes retired data: data directories that an upgrade has replaced, once their retention has expired, or once the server
//! that replaced them needs the space.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use pgops_volume::{FileError, Retired, Space, Volume};

/// Pause between two checks. A volume may be filled at some hundred megabytes a second.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Pause after a failure: its cause is not fixed within seconds, and each attempt is a line in the log.
const AFTER_FAILURE: Duration = Duration::from_mins(10);

/// Watches, for the life of this process, for data whose retention expires, while major version `own` serves.
///
/// A separate thread: a removal that takes minutes must not keep the process from ending.
pub fn watch(volume: Volume, own: u32) {
    let spawned = thread::Builder::new().name("retired".to_owned()).spawn(move || {
        loop {
            thread::sleep(if sweep_and_log(&volume, own) { CHECK_INTERVAL } else { AFTER_FAILURE });
        }
    });
    // The database serves anyway; the next start tries again.
    if let Err(error) = spawned {
        tracing::warn!("failed to start the thread that removes replaced data: {error}");
    }
}

/// Frees the space that major version `own` needs to start, if retired data has it: a server that ran out of space would end
/// again and again otherwise.
pub fn make_room(volume: &Volume, own: u32) {
    // An error is the server's to report: it may start nevertheless.
    if volume.space().is_ok_and(Space::is_exhausted) {
        sweep_and_log(volume, own);
    }
}

/// Removes the data that is due; returns whether that succeeded.
fn sweep_and_log(volume: &Volume, own: u32) -> bool {
    match sweep(volume, own, Timestamp::now(), Volume::space) {
        Ok(removed) => {
            for Removed { major, reason } in removed {
                match reason {
                    Reason::Expired => tracing::info!(major, "removed the data that an upgrade has replaced"),
                    Reason::SpaceNeeded(space) => tracing::warn!(
                        major,
                        "removed the data that an upgrade has replaced before its time: {} MiB of the volume were free, less \
                         than {} MiB",
                        space.free >> 20,
                        space.reserve() >> 20
                    ),
                }
            }
            true
        }
        Err(error) => {
            tracing::warn!("{}; retrying later", pgops_api::display_chain(&error));
            false
        }
    }
}

/// Why retired data is removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reason {
    Expired,
    SpaceNeeded(Space),
}

/// Data that was removed.
#[derive(Debug, Eq, PartialEq)]
struct Removed {
    major: u32,
    reason: Reason,
}

/// Removes the data that is due, the oldest version first. The space is measured again for each: the first may be enough.
fn sweep(
    volume: &Volume,
    own: u32,
    now: Timestamp,
    space: impl Fn(&Volume) -> Result<Space, FileError>,
) -> Result<Vec<Removed>, FileError> {
    let mut removed = Vec::new();
    let mut retired = volume.retired()?;
    retired.sort_by_key(|retired| retired.major);
    let serves = accepts_connections(volume, own)?;
    for retired in retired {
        if let Some(reason) = removal(retired, own, now, space(volume)?, serves) {
            remove(volume, retired.major, own)?;
            removed.push(Removed { major: retired.major, reason });
        }
    }
    Ok(removed)
}

/// Why the data is removed now by an instance of major version `own`, if it is. Data that is not older never is: this version
/// has not replaced it. A server that does not serve may never do so, and then the old data is all that is left: it is removed
/// only if there is no space to start. A full volume would end a server that serves.
fn removal(retired: Retired, own: u32, now: Timestamp, space: Space, serves: bool) -> Option<Reason> {
    if retired.major >= own {
        None
    } else if serves && retired.until <= now {
        Some(Reason::Expired)
    } else {
        let is_needed = space.is_exhausted() || serves && space.is_low();
        is_needed.then_some(Reason::SpaceNeeded(space))
    }
}

/// Line of `postmaster.pid`, from 0, with the state of the server, since version 10.
const STATE_LINE: usize = 7;

/// Whether the server of this process accepts connections, as it has recorded itself once its recovery was complete.
fn accepts_connections(volume: &Volume, own: u32) -> Result<bool, FileError> {
    let file = volume.data_dir(own).join("postmaster.pid");
    let text = volume.tree().read_text_if_exists(&file)?.unwrap_or_default();
    Ok(text.lines().nth(STATE_LINE).is_some_and(|state| state.trim_end() == "ready"))
}

/// Removes the data directory of a major version and its directories in tablespaces, and nothing that an operator has
/// put next to them. A directory under its old name is always complete: it is renamed first.
fn remove(volume: &Volume, major: u32, own: u32) -> Result<(), FileError> {
    let data_dir = volume.data_dir(major);
    let renamed = data_dir.with_file_name("data.going");
    refuse_used_directory(volume, &volume.major_dir(major), own)?;
    match volume.tree().rename(&data_dir, &renamed) {
        // An earlier attempt was interrupted after it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => result?,
    }
    for tablespace in volume.tablespaces(&renamed)? {
        remove_from_tablespace(volume, &tablespace, major)?;
    }
    volume.tree().remove_dir(&renamed)?;
    volume.remove_empty_major_dir(major)?;
    volume.clear_retired(major)
}

/// Fails if a tablespace of the running server is inside the directory of a retired version.
fn refuse_used_directory(volume: &Volume, major_dir: &Path, own: u32) -> Result<(), FileError> {
    let used = volume.tablespaces(&volume.data_dir(own))?;
    match used.iter().find(|tablespace| tablespace.starts_with(major_dir)) {
        None => Ok(()),
        Some(tablespace) => {
            let reason = format!("tablespace {} of major version {own} is inside it", tablespace.display());
            Err(FileError::on("remove", major_dir)(io::Error::other(reason)))
        }
    }
}

/// The links of a data directory are its superuser's: one that leads elsewhere is ignored.
fn remove_from_tablespace(volume: &Volume, tablespace: &Path, major: u32) -> Result<(), FileError> {
    if !volume.is_own_dir(tablespace)? {
        tracing::warn!(major, "left what retired data has in {}: not on the volume", tablespace.display());
        return Ok(());
    }
    let prefix = format!("PG_{major}_");
    for directory in volume.tree().list_if_exists(tablespace)? {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(&prefix) {
            volume.tree().remove_dir(&directory)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    const NOW: &str = "2026-11-26T02:00:00Z";

    const AMPLE: Space = Space { free: 1 << 30, size: 2 << 30 };
    const LOW: Space = Space { free: 100 << 20, size: 2 << 30 };
    const EXHAUSTED: Space = Space { free: 1 << 20, size: 2 << 30 };

    /// A volume with data that was replaced.
    struct OldData {
        root: tempfile::TempDir,
        volume: Volume,
    }

    impl OldData {
        /// Version 17 is active; 13 was replaced and is kept until that time.
        fn new(until: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            let volume = Volume::at(root.path());
            for path in ["13/data/pg_tblspc", "17/data/pg_tblspc", ".pgops/retired"] {
                fs::create_dir_all(root.path().join(path)).unwrap();
            }
            fs::write(root.path().join("13/data/PG_VERSION"), "13\n").unwrap();
            fs::write(root.path().join(".pgops/retired/13"), format!("{until}\n")).unwrap();
            let old = Self { root, volume };
            old.set_state(17, "ready   ");
            old
        }

        /// As the server of that version records its state.
        fn set_state(&self, major: u32, state: &str) {
            let directory = self.root.path().join(format!("{major}/data"));
            fs::create_dir_all(&directory).unwrap();
            let text = format!("7\n{}\n1763632800\n5432\n/run\n*\n  1 2\n{state}\n", directory.display());
            fs::write(directory.join("postmaster.pid"), text).unwrap();
        }

        fn has(&self, path: &str) -> bool {
            self.root.path().join(path).exists()
        }

        fn sweep(&self, own: u32) -> Result<Vec<u32>, FileError> {
            self.sweep_with(own, AMPLE).map(|removed| removed.into_iter().map(|it| it.major).collect())
        }

        fn sweep_with(&self, own: u32, space: Space) -> Result<Vec<Removed>, FileError> {
            sweep(&self.volume, own, NOW.parse().unwrap(), |_| Ok(space))
        }

        fn tablespace(&self, major: u32, path: &str) -> PathBuf {
            let path = self.root.path().join(path);
            fs::create_dir_all(&path).unwrap();
            symlink(&path, self.root.path().join(format!("{major}/data/pg_tblspc/16400"))).unwrap();
            path
        }
    }

    #[test]
    fn retired_data_is_removed_when_its_retention_expires() {
        let old = OldData::new("2026-11-26T02:00:01Z");
        assert!(old.sweep(17).unwrap().is_empty());
        assert!(old.has("13/data/PG_VERSION"));
        let old = OldData::new(NOW);
        assert_eq!(old.sweep(17).unwrap(), [13]);
        assert!(!old.has("13") && old.has("17/data") && !old.has(".pgops/retired/13"));
        assert!(old.sweep(17).unwrap().is_empty());
    }

    #[test]
    fn retired_data_stays_while_the_new_server_does_not_accept_connections() {
        let old = OldData::new(NOW);
        for state in ["starting", "stopping", ""] {
            old.set_state(17, state);
            assert!(old.sweep_with(17, LOW).unwrap().is_empty(), "{state}");
        }
        fs::remove_file(old.root.path().join("17/data/postmaster.pid")).unwrap();
        assert!(old.sweep(17).unwrap().is_empty());
        assert!(old.has("13/data/PG_VERSION"));
        old.set_state(17, "ready   ");
        assert_eq!(old.sweep(17).unwrap(), [13]);
    }

    #[test]
    fn active_and_newer_data_are_never_removed() {
        for own in [12, 13] {
            let old = OldData::new(NOW);
            old.set_state(own, "ready   ");
            assert!(old.sweep_with(own, LOW).unwrap().is_empty());
            assert!(old.has("13/data/PG_VERSION"), "under {own}");
        }
    }

    #[test]
    fn retired_data_is_removed_before_its_time_when_the_volume_is_almost_full() {
        let old = OldData::new("2026-11-27T02:00:00Z");
        assert!(old.sweep_with(17, AMPLE).unwrap().is_empty());
        let removed = Removed { major: 13, reason: Reason::SpaceNeeded(LOW) };
        assert_eq!(old.sweep_with(17, LOW).unwrap(), [removed]);
        assert!(!old.has("13") && old.has("17/data"));
    }

    #[test]
    fn retired_data_is_removed_for_a_server_that_has_no_space_to_start() {
        let old = OldData::new("2026-11-27T02:00:00Z");
        old.set_state(17, "starting");
        assert_eq!(old.sweep_with(17, EXHAUSTED).unwrap().len(), 1);
        assert!(!old.has("13") && old.has("17/data"));
    }

    #[test]
    fn retired_data_stays_once_the_oldest_has_freed_enough() {
        let old = OldData::new("2026-11-27T02:00:00Z");
        for path in ["9/data", "15/data"] {
            fs::create_dir_all(old.root.path().join(path)).unwrap();
        }
        for major in [9, 15] {
            old.volume.retire(major, "2026-11-27T02:00:00Z".parse().unwrap()).unwrap();
        }
        let space = |volume: &Volume| Ok(if volume.data_dir(9).exists() { LOW } else { AMPLE });
        let removed = sweep(&old.volume, 17, NOW.parse().unwrap(), space).unwrap();
        assert_eq!(removed.iter().map(|it| it.major).collect::<Vec<_>>(), [9]);
        assert!(old.has("13/data") && old.has("15/data"));
    }

    #[test]
    fn data_that_serves_again_is_not_retired() {
        let old = OldData::new(NOW);
        old.volume.clear_retired(13).unwrap();
        old.volume.clear_retired(13).unwrap();
        assert!(old.sweep(17).unwrap().is_empty());
        assert!(old.has("13/data/PG_VERSION"));
    }

    #[test]
    fn interrupted_removal_is_completed() {
        let old = OldData::new(NOW);
        let tablespace = old.tablespace(13, "fast");
        fs::create_dir(tablespace.join("PG_13_202007201")).unwrap();
        let (data, going) = (old.root.path().join("13/data"), old.root.path().join("13/data.going"));
        fs::rename(data, going).unwrap();
        assert_eq!(old.sweep(17).unwrap(), [13]);
        assert!(!old.has("13") && !old.has("fast/PG_13_202007201"));
    }

    #[test]
    fn removal_keeps_other_directories_of_a_tablespace() {
        let old = OldData::new(NOW);
        let tablespace = old.tablespace(13, "fast");
        for name in ["PG_13_202007201", "PG_17_202406281", "of-an-operator"] {
            fs::create_dir(tablespace.join(name)).unwrap();
        }
        assert_eq!(old.sweep(17).unwrap(), [13]);
        assert!(!old.has("fast/PG_13_202007201"));
        assert!(old.has("fast/PG_17_202406281") && old.has("fast/of-an-operator"));
    }

    #[test]
    fn removal_ignores_a_tablespace_that_is_not_on_the_volume() {
        let elsewhere = tempfile::tempdir().unwrap();
        let theirs = elsewhere.path().join("PG_13_202007201");
        fs::create_dir(&theirs).unwrap();
        let old = OldData::new(NOW);
        symlink(elsewhere.path(), old.root.path().join("13/data/pg_tblspc/16400")).unwrap();
        symlink(elsewhere.path(), old.root.path().join("fast")).unwrap();
        symlink(old.root.path().join("fast"), old.root.path().join("13/data/pg_tblspc/16401")).unwrap();
        assert_eq!(old.sweep(17).unwrap(), [13]);
        assert!(theirs.exists() && !old.has("13"));
    }

    #[test]
    fn retired_data_with_a_tablespace_of_the_server_inside_stays() {
        let old = OldData::new(NOW);
        old.tablespace(17, "13/fast");
        let error = pgops_api::display_chain(&old.sweep(17).unwrap_err());
        assert!(error.contains("13/fast of major version 17 is inside it"), "{error}");
        assert!(old.has("13/data/PG_VERSION"));
    }

    #[test]
    fn removal_keeps_files_next_to_the_data_directory() {
        let old = OldData::new(NOW);
        fs::write(old.root.path().join("13/backup"), "precious").unwrap();
        assert_eq!(old.sweep(17).unwrap(), [13]);
        assert!(old.has("13/backup") && !old.has("13/data"));
    }

    #[test]
    fn unreadable_retention_removes_nothing() {
        let old = OldData::new("soon");
        assert!(old.sweep(17).is_err());
        assert!(old.has("13/data/PG_VERSION"));
    }
}
