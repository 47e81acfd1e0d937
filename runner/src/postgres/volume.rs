//! The database's volume: data directories, the file that names the active version, and the work directory of one
//! upgrade. Every change here is durable before the call returns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;
use pgops_api::layout;

/// The volume as one upgrade sees it.
#[derive(Clone, Debug)]
pub struct Volume {
    root: PathBuf,
    work: PathBuf,
}

/// Large enough to rate the volume, small enough not to disturb the database.
const RATE_BYTES: usize = 16 * 1024 * 1024;
/// Room for some hundreds of records, and for what a rollback writes.
const RESERVE_BYTES: usize = 256 * 1024;
const NEW_DATA_OWNED: &str = "owns-new-data";
const FRESH: &str = "fresh";
const UPGRADED: &str = "upgraded";

/// A state of the new data directory, recorded durably on the volume.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Marker {
    /// This upgrade has created the directory of the new version, and may remove it.
    NewDataOwned,
    /// The new cluster is as `initdb` left it: `pg_upgrade` may begin.
    Fresh,
    /// `pg_upgrade` has succeeded. The content is the state of both clusters at that time.
    Upgraded,
}

impl Volume {
    /// The volume mounted at `root`, for the upgrade of the request `uid`.
    #[must_use]
    pub fn new(root: &Path, uid: &str) -> Self {
        let work = layout::request_dir(uid);
        let work = work.strip_prefix(layout::VOLUME_ROOT).unwrap_or(&work);
        Self { root: root.to_owned(), work: root.join(work) }
    }

    /// The work directory of this upgrade.
    #[must_use]
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// The data directory of a major version.
    #[must_use]
    pub fn pgdata(&self, major: u32) -> PathBuf {
        self.root.join(major.to_string()).join("data")
    }

    /// The file of the interlock.
    #[must_use]
    pub fn interlock(&self) -> PathBuf {
        self.root.join(".pgops/interlock")
    }

    /// The active version, if the volume has one.
    pub fn active(&self) -> io::Result<Option<u32>> {
        match fs::read_to_string(self.active_file()) {
            Ok(text) => text.trim().parse().map(Some).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{:?} is not a major version", text.trim()),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a major version the active one: the switchover of a major upgrade, and its undo.
    pub fn set_active(&self, major: u32) -> io::Result<()> {
        replace(&self.active_file(), format!("{major}\n").as_bytes())
    }

    fn active_file(&self) -> PathBuf {
        self.root.join(".pgops/active")
    }

    /// Creates the work directory.
    pub fn make_work(&self) -> io::Result<()> {
        fs::create_dir_all(&self.work)?;
        sync_dir(self.work.parent().unwrap_or(&self.root))
    }

    /// Reserves space for the journal of this upgrade: a full volume must not prevent a rollback.
    ///
    /// Only before the first record: later the reserve may have been needed already.
    pub fn make_reserve(&self) -> io::Result<()> {
        if self.journal().exists() {
            return Ok(());
        }
        let mut file = File::create(self.reserve())?;
        file.write_all(&vec![7; RESERVE_BYTES])?;
        file.sync_all()
    }

    /// Releases the reserve.
    pub fn release_reserve(&self) {
        // If this fails, there was no reserve, or nothing else can be written either.
        let _ = fs::remove_file(self.reserve());
    }

    fn reserve(&self) -> PathBuf {
        self.work.join("reserve")
    }

    /// The journal of this upgrade.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.work.join("journal")
    }

    /// Schedules the removal of the data of a major version that was replaced: the new instance deletes it after
    /// `until`.
    pub fn retire(&self, major: u32, until: Timestamp) -> io::Result<()> {
        let file = self.retired_file(major);
        let directory = file.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory)?;
        sync_dir(directory.parent().unwrap_or(&self.root))?;
        replace(&file, format!("{until}\n").as_bytes())
    }

    /// When the retention of a major version's data expires, if it was replaced.
    pub fn retired(&self, major: u32) -> io::Result<Option<Timestamp>> {
        match fs::read_to_string(self.retired_file(major)) {
            Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn retired_file(&self, major: u32) -> PathBuf {
        self.root.join(".pgops/retired").join(major.to_string())
    }

    /// Removes the work directory if it is empty.
    pub fn remove_empty_work(&self) {
        // A directory that stays does no harm.
        let _ = fs::remove_dir(&self.work);
    }

    fn marker(&self, marker: Marker) -> PathBuf {
        self.work.join(match marker {
            Marker::NewDataOwned => NEW_DATA_OWNED,
            Marker::Fresh => FRESH,
            Marker::Upgraded => UPGRADED,
        })
    }

    /// Whether the marker is set.
    #[must_use]
    pub fn is(&self, marker: Marker) -> bool {
        self.marker(marker).exists()
    }

    /// Sets a marker.
    pub fn mark(&self, marker: Marker) -> io::Result<()> {
        self.write_marker(marker, "")
    }

    /// Sets a marker with content.
    pub fn write_marker(&self, marker: Marker, content: &str) -> io::Result<()> {
        replace(&self.marker(marker), content.as_bytes())
    }

    /// The content of a marker, if it is set.
    pub fn read_marker(&self, marker: Marker) -> io::Result<Option<String>> {
        match fs::read_to_string(self.marker(marker)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a marker.
    pub fn unmark(&self, marker: Marker) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.marker(marker)))?;
        if self.work.exists() { sync_dir(&self.work) } else { Ok(()) }
    }

    /// Removes the data directory of the new version, if this upgrade has created it and it is not active.
    pub fn remove_new(&self, major: u32) -> io::Result<()> {
        if !self.is(Marker::NewDataOwned) || self.active()? == Some(major) {
            return Ok(());
        }
        self.unmark(Marker::Upgraded)?;
        self.unmark(Marker::Fresh)?;
        self.remove_pgdata(major)?;
        self.unmark(Marker::NewDataOwned)
    }

    /// Removes the data directory of a major version, but not what users have put next to it.
    fn remove_pgdata(&self, major: u32) -> io::Result<()> {
        ignore_missing(fs::remove_dir_all(self.pgdata(major)))?;
        match fs::remove_dir(self.root.join(major.to_string())) {
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) =>
            {
                Err(error)
            }
            _ => sync_dir(&self.root),
        }
    }

    /// Tablespaces of a major version that are inside a data directory, and would be deleted with it.
    pub fn tablespaces_within(&self, major: u32) -> io::Result<Vec<PathBuf>> {
        let root = fs::canonicalize(&self.root)?;
        let within = |path: &PathBuf| {
            let first = path.strip_prefix(&root).ok().and_then(|path| path.components().next());
            first.is_some_and(|name| name.as_os_str().to_string_lossy().parse::<u32>().is_ok())
        };
        Ok(self.tablespaces(major)?.into_iter().filter(within).collect())
    }

    /// Restores the control file of the old data, which `pg_upgrade --link` renames.
    pub fn restore_control_file(&self, old_major: u32) -> io::Result<()> {
        let global = self.pgdata(old_major).join("global");
        let (aside, control) = (global.join("pg_control.old"), global.join("pg_control"));
        if aside.exists() && !control.exists() {
            fs::rename(&aside, &control)?;
            sync_dir(&global)?;
        }
        Ok(())
    }

    /// Directories of tablespaces that a data directory points to, whether they exist in this pod or not.
    pub fn tablespaces(&self, major: u32) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(self.pgdata(major).join("pg_tblspc")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let location = |path: PathBuf| match fs::read_link(&path) {
            // An in-place tablespace (`allow_in_place_tablespaces`) is a directory itself.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(path),
            target => target,
        };
        entries.map(|entry| location(entry?.path())).collect()
    }

    /// Bytes in use below a data directory; a hard link counts once for each name.
    pub fn size(&self, major: u32) -> io::Result<u64> {
        size_of(&self.pgdata(major))
    }

    /// Bytes of the volume that are available to us.
    pub fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail * stat.f_frsize)
    }

    /// Bytes per second that the volume writes durably, by a small probe; 0 if there is no space for it.
    pub fn write_rate(&self) -> io::Result<u64> {
        let path = self.work.join("write-rate");
        let began = Instant::now();
        let written = fs::write(&path, vec![7; RATE_BYTES]).and_then(|()| File::open(&path)?.sync_all());
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        ignore_missing(fs::remove_file(&path))?;
        match written {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(0),
            written => written.map(|()| RATE_BYTES as u64 * 1000 / milliseconds),
        }
    }

    /// Whether files on the volume can share blocks.
    #[must_use]
    pub fn can_reflink(&self) -> bool {
        let probe = || -> io::Result<()> {
            let (source, target) = (self.work.join("reflink-source"), self.work.join("reflink-target"));
            fs::write(&source, [7; 8192])?;
            let cloned = File::create(&target).and_then(|to| {
                rustix::fs::ioctl_ficlone(&to, &File::open(&source)?).map_err(io::Error::from)
            });
            fs::remove_file(&source)?;
            fs::remove_file(&target)?;
            cloned
        };
        probe().is_ok()
    }
}

/// Replaces the content of `path` atomically: readers see the old or the new one, and so does a crash.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// Makes renames and removals in a directory durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn size_of(path: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A file of a serving database may be deleted between the listing and this call.
        let metadata = match fs::metadata(entry.path()) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        sum += if metadata.is_dir() { size_of(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> (tempfile::TempDir, Volume) {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::new(root.path(), "3f9c21aa");
        volume.make_work().unwrap();
        (root, volume)
    }

    fn make(volume: &Volume, major: u32, file: &str) -> PathBuf {
        let path = volume.pgdata(major).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        path
    }

    #[test]
    fn active_version_is_the_last_one_set() {
        let (_root, volume) = volume();
        assert_eq!(volume.active().unwrap(), None);
        volume.set_active(13).unwrap();
        volume.set_active(17).unwrap();
        assert_eq!(volume.active().unwrap(), Some(17));
    }

    #[test]
    fn invalid_active_file_is_an_error() {
        let (_root, volume) = volume();
        fs::write(volume.active_file(), "seventeen\n").unwrap();
        assert!(volume.active().unwrap_err().to_string().contains("seventeen"));
    }

    #[test]
    fn marker_keeps_its_content() {
        let (_root, volume) = volume();
        assert_eq!(volume.read_marker(Marker::Upgraded).unwrap(), None);
        volume.write_marker(Marker::Upgraded, "0/5A3F2E8").unwrap();
        assert!(volume.is(Marker::Upgraded));
        assert_eq!(volume.read_marker(Marker::Upgraded).unwrap().as_deref(), Some("0/5A3F2E8"));
    }

    #[test]
    fn new_directory_is_kept_if_it_is_not_ours() {
        let (_root, volume) = volume();
        let file = make(&volume, 17, "PG_VERSION");
        volume.remove_new(17).unwrap();
        assert!(file.exists());
    }

    #[test]
    fn new_directory_is_kept_if_it_is_active() {
        let (_root, volume) = volume();
        let file = make(&volume, 17, "PG_VERSION");
        volume.mark(Marker::NewDataOwned).unwrap();
        volume.set_active(17).unwrap();
        volume.remove_new(17).unwrap();
        assert!(file.exists());
    }

    #[test]
    fn new_directory_of_ours_is_removed_with_its_markers() {
        let (_root, volume) = volume();
        make(&volume, 17, "PG_VERSION");
        for marker in [Marker::NewDataOwned, Marker::Fresh, Marker::Upgraded] {
            volume.mark(marker).unwrap();
        }
        volume.remove_new(17).unwrap();
        assert!(!volume.root.join("17").exists());
        for marker in [Marker::NewDataOwned, Marker::Fresh, Marker::Upgraded] {
            assert!(!volume.is(marker), "{marker:?}");
        }
    }

    #[test]
    fn files_next_to_a_data_directory_are_kept() {
        let (_root, volume) = volume();
        make(&volume, 17, "PG_VERSION");
        let backup = volume.root.join("17/data.bak");
        fs::write(&backup, "precious").unwrap();
        volume.mark(Marker::NewDataOwned).unwrap();
        volume.remove_new(17).unwrap();
        assert!(backup.exists() && !volume.pgdata(17).exists());
    }

    #[test]
    fn tablespace_within_a_data_directory_is_found() {
        let (root, volume) = volume();
        make(&volume, 13, "PG_VERSION");
        let links = volume.pgdata(13).join("pg_tblspc");
        fs::create_dir_all(&links).unwrap();
        for (oid, place) in [("16400", "13/fast"), ("16401", "tablespaces/slow")] {
            let place = root.path().join(place);
            fs::create_dir_all(&place).unwrap();
            std::os::unix::fs::symlink(&place, links.join(oid)).unwrap();
        }
        let within = volume.tablespaces_within(13).unwrap();
        assert_eq!(within.len(), 1);
        assert!(within[0].ends_with("13/fast"));
    }

    #[test]
    fn tablespace_in_place_is_within_a_data_directory() {
        let (_root, volume) = volume();
        let in_place = volume.pgdata(17).join("pg_tblspc/16400");
        fs::create_dir_all(&in_place).unwrap();
        assert_eq!(volume.tablespaces_within(17).unwrap(), [in_place]);
    }

    #[test]
    fn control_file_is_restored_once() {
        let (_root, volume) = volume();
        let aside = make(&volume, 13, "global/pg_control.old");
        volume.restore_control_file(13).unwrap();
        let control = volume.pgdata(13).join("global/pg_control");
        assert!(control.exists() && !aside.exists());
        volume.restore_control_file(13).unwrap();
        assert!(control.exists());
    }

    #[test]
    fn control_file_in_use_is_never_replaced() {
        let (_root, volume) = volume();
        make(&volume, 13, "global/pg_control.old");
        let control = make(&volume, 13, "global/pg_control");
        fs::write(&control, "current").unwrap();
        volume.restore_control_file(13).unwrap();
        assert_eq!(fs::read_to_string(control).unwrap(), "current");
    }

    #[test]
    fn retired_data_has_an_expiry_time() {
        let (_root, volume) = volume();
        assert_eq!(volume.retired(13).unwrap(), None);
        let until = "2026-11-26T02:14:03Z".parse().unwrap();
        volume.retire(13, until).unwrap();
        assert_eq!(volume.retired(13).unwrap(), Some(until));
        fs::write(volume.retired_file(13), "tomorrow").unwrap();
        assert!(volume.retired(13).is_err());
    }

    #[test]
    fn reserve_is_not_made_once_a_journal_exists() {
        let (_root, volume) = volume();
        volume.make_reserve().unwrap();
        assert_eq!(fs::metadata(volume.reserve()).unwrap().len(), RESERVE_BYTES as u64);
        fs::write(volume.journal(), "").unwrap();
        volume.release_reserve();
        volume.make_reserve().unwrap();
        assert!(!volume.reserve().exists());
    }

    #[test]
    fn size_includes_subdirectories() {
        let (_root, volume) = volume();
        make(&volume, 13, "PG_VERSION");
        make(&volume, 13, "base/1/1249");
        assert_eq!(volume.size(13).unwrap(), 2);
    }
}
