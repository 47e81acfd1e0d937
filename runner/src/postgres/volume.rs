//! The database's volume: data directories, the file that says which of them serves, and the work
//! directory of one upgrade. Every change here is durable before the call returns.

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

/// So many are enough to tell a slow volume from a quick one, and few enough to disturb nobody.
const RATE_BYTES: usize = 16 * 1024 * 1024;
/// Room for some hundreds of records, and for what the way back writes.
const RESERVE_BYTES: usize = 256 * 1024;
/// Marker: the directory of the new version is ours to remove.
const OWNS_NEW: &str = "owns-new-data";
/// Marker: the new cluster is as initdb left it.
const FRESH: &str = "fresh";
/// Marker: `pg_upgrade` has succeeded.
const UPGRADED: &str = "upgraded";

/// A stage of the new data directory, durable on the volume.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Marker {
    /// The directory of the new version is ours to remove.
    OwnsNew,
    /// The new cluster is as initdb left it: `pg_upgrade` may begin.
    Fresh,
    /// `pg_upgrade` has succeeded. It says where both clusters stood then.
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

    /// The interlock's file.
    #[must_use]
    pub fn interlock(&self) -> PathBuf {
        self.root.join(".pgops/interlock")
    }

    /// The major version that serves, if the volume says so.
    pub fn active(&self) -> io::Result<Option<u32>> {
        match fs::read_to_string(self.active_file()) {
            Ok(text) => text.trim().parse().map(Some).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{:?} names no major version", text.trim()),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says which major version serves: the switch of a major upgrade, and its way back.
    pub fn set_active(&self, major: u32) -> io::Result<()> {
        replace(&self.active_file(), format!("{major}\n").as_bytes())
    }

    fn active_file(&self) -> PathBuf {
        self.root.join(".pgops/active")
    }

    /// Makes the work directory.
    pub fn make_work(&self) -> io::Result<()> {
        fs::create_dir_all(&self.work)?;
        sync_dir(self.work.parent().unwrap_or(&self.root))
    }

    /// Keeps a little room for the journal of this upgrade: a full volume must not keep it from being taken back.
    ///
    /// Only before the first record: later on it may have been needed already.
    pub fn make_reserve(&self) -> io::Result<()> {
        if self.journal().exists() {
            return Ok(());
        }
        let mut file = File::create(self.reserve())?;
        file.write_all(&vec![7; RESERVE_BYTES])?;
        file.sync_all()
    }

    /// Gives that room up.
    pub fn release_reserve(&self) {
        // What cannot be given up was not there, or nothing else can be written either.
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

    /// Says from when on the data of a major version, whose place another one has taken, is not needed any more.
    /// The server that took its place removes it then.
    pub fn retire(&self, major: u32, until: Timestamp) -> io::Result<()> {
        let file = self.retired_file(major);
        let directory = file.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory)?;
        sync_dir(directory.parent().unwrap_or(&self.root))?;
        replace(&file, format!("{until}\n").as_bytes())
    }

    /// Until when the data of a major version is kept, if it was replaced.
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

    /// Removes the directory of an upgrade that has left nothing in it.
    pub fn remove_empty_work(&self) {
        // A directory that stays is in nobody's way.
        let _ = fs::remove_dir(&self.work);
    }

    fn marker(&self, marker: Marker) -> PathBuf {
        self.work.join(match marker {
            Marker::OwnsNew => OWNS_NEW,
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
        self.mark_with(marker, "")
    }

    /// Sets a marker that says something.
    pub fn mark_with(&self, marker: Marker, words: &str) -> io::Result<()> {
        replace(&self.marker(marker), words.as_bytes())
    }

    /// What a marker says, if it is set.
    pub fn words_of(&self, marker: Marker) -> io::Result<Option<String>> {
        match fs::read_to_string(self.marker(marker)) {
            Ok(words) => Ok(Some(words)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a marker.
    pub fn unmark(&self, marker: Marker) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.marker(marker)))?;
        if self.work.exists() { sync_dir(&self.work) } else { Ok(()) }
    }

    /// Removes the directory of the new version, if this upgrade made it and it does not serve.
    pub fn remove_new(&self, major: u32) -> io::Result<()> {
        if !self.is(Marker::OwnsNew) || self.active()? == Some(major) {
            return Ok(());
        }
        self.unmark(Marker::Upgraded)?;
        self.unmark(Marker::Fresh)?;
        self.remove_pgdata(major)?;
        self.unmark(Marker::OwnsNew)
    }

    /// Removes the data directory of a major version, and nothing that people have put beside it.
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

    /// Tablespaces of a major version that lie within a data directory, and would go with it.
    pub fn tablespaces_within(&self, major: u32) -> io::Result<Vec<PathBuf>> {
        let root = fs::canonicalize(&self.root)?;
        let within = |path: &PathBuf| {
            let first = path.strip_prefix(&root).ok().and_then(|path| path.components().next());
            first.is_some_and(|name| name.as_os_str().to_string_lossy().parse::<u32>().is_ok())
        };
        Ok(self.tablespaces(major)?.into_iter().filter(within).collect())
    }

    /// Gives the old data its control file back, which `pg_upgrade --link` puts aside.
    pub fn restore_control_file(&self, old_major: u32) -> io::Result<()> {
        let global = self.pgdata(old_major).join("global");
        let (aside, control) = (global.join("pg_control.old"), global.join("pg_control"));
        if aside.exists() && !control.exists() {
            fs::rename(&aside, &control)?;
            sync_dir(&global)?;
        }
        Ok(())
    }

    /// Directories of tablespaces that a data directory points to, whether they can be seen here or not.
    pub fn tablespaces(&self, major: u32) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(self.pgdata(major).join("pg_tblspc")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let location = |path: PathBuf| match fs::read_link(&path) {
            // One that was made in place (`allow_in_place_tablespaces`) is a directory itself.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(path),
            target => target,
        };
        entries.map(|entry| location(entry?.path())).collect()
    }

    /// Bytes in use below a data directory, each hard link counted once per name.
    pub fn size(&self, major: u32) -> io::Result<u64> {
        size_of(&self.pgdata(major))
    }

    /// Bytes that are free for us on the volume.
    pub fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail * stat.f_frsize)
    }

    /// Bytes a second that the volume takes for good, by a small try; 0 where there is no room for it.
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

/// Makes `path` hold `content`: readers see the old or the new, and a crash leaves one of them.
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
        // A file of a serving database may vanish between the listing and the look.
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
    fn the_active_version_is_what_was_said_last() {
        let (_root, volume) = volume();
        assert_eq!(volume.active().unwrap(), None);
        volume.set_active(13).unwrap();
        volume.set_active(17).unwrap();
        assert_eq!(volume.active().unwrap(), Some(17));
    }

    #[test]
    fn a_garbled_active_file_is_an_error_and_not_nothing() {
        let (_root, volume) = volume();
        fs::write(volume.active_file(), "seventeen\n").unwrap();
        assert!(volume.active().unwrap_err().to_string().contains("seventeen"));
    }

    #[test]
    fn a_marker_keeps_what_it_says() {
        let (_root, volume) = volume();
        assert_eq!(volume.words_of(Marker::Upgraded).unwrap(), None);
        volume.mark_with(Marker::Upgraded, "0/5A3F2E8").unwrap();
        assert!(volume.is(Marker::Upgraded));
        assert_eq!(volume.words_of(Marker::Upgraded).unwrap().as_deref(), Some("0/5A3F2E8"));
    }

    #[test]
    fn a_new_directory_that_is_not_ours_is_left_alone() {
        let (_root, volume) = volume();
        let file = make(&volume, 17, "PG_VERSION");
        volume.remove_new(17).unwrap();
        assert!(file.exists());
    }

    #[test]
    fn a_new_directory_that_serves_is_left_alone() {
        let (_root, volume) = volume();
        let file = make(&volume, 17, "PG_VERSION");
        volume.mark(Marker::OwnsNew).unwrap();
        volume.set_active(17).unwrap();
        volume.remove_new(17).unwrap();
        assert!(file.exists());
    }

    #[test]
    fn our_new_directory_is_removed_with_its_markers() {
        let (_root, volume) = volume();
        make(&volume, 17, "PG_VERSION");
        for marker in [Marker::OwnsNew, Marker::Fresh, Marker::Upgraded] {
            volume.mark(marker).unwrap();
        }
        volume.remove_new(17).unwrap();
        assert!(!volume.root.join("17").exists());
        for marker in [Marker::OwnsNew, Marker::Fresh, Marker::Upgraded] {
            assert!(!volume.is(marker), "{marker:?}");
        }
    }

    #[test]
    fn what_people_have_put_beside_a_data_directory_stays() {
        let (_root, volume) = volume();
        make(&volume, 17, "PG_VERSION");
        let backup = volume.root.join("17/data.bak");
        fs::write(&backup, "precious").unwrap();
        volume.mark(Marker::OwnsNew).unwrap();
        volume.remove_new(17).unwrap();
        assert!(backup.exists() && !volume.pgdata(17).exists());
    }

    #[test]
    fn a_tablespace_within_a_data_directory_is_told_from_one_outside() {
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
    fn a_tablespace_that_was_made_in_place_is_within_the_data() {
        let (_root, volume) = volume();
        let in_place = volume.pgdata(17).join("pg_tblspc/16400");
        fs::create_dir_all(&in_place).unwrap();
        assert_eq!(volume.tablespaces_within(17).unwrap(), [in_place]);
    }

    #[test]
    fn the_control_file_comes_back_once() {
        let (_root, volume) = volume();
        let aside = make(&volume, 13, "global/pg_control.old");
        volume.restore_control_file(13).unwrap();
        let control = volume.pgdata(13).join("global/pg_control");
        assert!(control.exists() && !aside.exists());
        volume.restore_control_file(13).unwrap();
        assert!(control.exists());
    }

    #[test]
    fn a_control_file_in_use_is_never_replaced_by_one_put_aside() {
        let (_root, volume) = volume();
        make(&volume, 13, "global/pg_control.old");
        let control = make(&volume, 13, "global/pg_control");
        fs::write(&control, "current").unwrap();
        volume.restore_control_file(13).unwrap();
        assert_eq!(fs::read_to_string(control).unwrap(), "current");
    }

    #[test]
    fn data_that_was_replaced_has_its_time() {
        let (_root, volume) = volume();
        assert_eq!(volume.retired(13).unwrap(), None);
        let until = "2026-11-26T02:14:03Z".parse().unwrap();
        volume.retire(13, until).unwrap();
        assert_eq!(volume.retired(13).unwrap(), Some(until));
        fs::write(volume.retired_file(13), "tomorrow").unwrap();
        assert!(volume.retired(13).is_err());
    }

    #[test]
    fn the_reserve_is_not_made_again_once_there_is_a_journal() {
        let (_root, volume) = volume();
        volume.make_reserve().unwrap();
        assert_eq!(fs::metadata(volume.reserve()).unwrap().len(), RESERVE_BYTES as u64);
        fs::write(volume.journal(), "").unwrap();
        volume.release_reserve();
        volume.make_reserve().unwrap();
        assert!(!volume.reserve().exists());
    }

    #[test]
    fn the_size_counts_files_in_subdirectories() {
        let (_root, volume) = volume();
        make(&volume, 13, "PG_VERSION");
        make(&volume, 13, "base/1/1249");
        assert_eq!(volume.size(13).unwrap(), 2);
    }
}
