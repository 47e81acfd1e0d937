//! The work directory of one upgrade: its markers, and its journal with a reserve of space.

use std::io::Write;
use std::path::{Path, PathBuf};

use pgops_volume::{FileError, Tree, Volume};

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

/// The work directory of one upgrade on the volume.
#[derive(Clone, Debug)]
pub struct WorkDir {
    tree: Tree,
    path: PathBuf,
}

impl WorkDir {
    /// The directory of the request `uid`.
    #[must_use]
    pub fn new(volume: &Volume, uid: &str) -> Self {
        Self { tree: volume.tree().clone(), path: volume.request_dir(uid) }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The volume that it is on.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Creates the directory.
    pub fn create(&self) -> Result<(), FileError> {
        self.tree.create_dir(&self.path)?;
        self.tree.sync_dir(self.path.parent().unwrap_or(Path::new("/")))
    }

    /// Removes the directory if it is empty.
    pub fn remove_if_empty(&self) {
        // A directory that stays does no harm.
        let _ = self.tree.remove_empty_dir(&self.path);
    }

    /// The journal of this upgrade.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Reserves space for the journal of this upgrade: a full volume must not prevent a rollback.
    ///
    /// Only before the first record: later the reserve may have been needed already.
    pub fn make_reserve(&self) -> Result<(), FileError> {
        if self.tree.exists(&self.journal())? {
            return Ok(());
        }
        let path = self.reserve();
        let mut file = self.tree.create_file(&path)?;
        file.write_all(&vec![7; RESERVE_BYTES]).map_err(FileError::on("reserve space in", &path))?;
        file.sync_all().map_err(FileError::on("sync", &path))
    }

    /// Releases the reserve.
    pub fn release_reserve(&self) {
        // If this fails, there was no reserve, or nothing else can be written either.
        let _ = self.tree.remove_file(&self.reserve());
    }

    fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// The file of a marker.
    #[must_use]
    pub fn marker(&self, marker: Marker) -> PathBuf {
        self.path.join(match marker {
            Marker::NewDataOwned => NEW_DATA_OWNED,
            Marker::Fresh => FRESH,
            Marker::Upgraded => UPGRADED,
        })
    }

    /// Whether the marker is set. Only a regular file counts as one.
    #[must_use]
    pub fn has(&self, marker: Marker) -> bool {
        self.tree.open(&self.marker(marker)).is_ok()
    }

    /// Sets a marker.
    pub fn mark(&self, marker: Marker) -> Result<(), FileError> {
        self.write_marker(marker, "")
    }

    /// Sets a marker with content.
    pub fn write_marker(&self, marker: Marker, content: &str) -> Result<(), FileError> {
        self.tree.replace(&self.marker(marker), content.as_bytes())
    }

    /// The content of a marker, if it is set.
    pub fn read_marker(&self, marker: Marker) -> Result<Option<String>, FileError> {
        self.tree.read_text_if_exists(&self.marker(marker))
    }

    /// Removes a marker.
    pub fn unmark(&self, marker: Marker) -> Result<(), FileError> {
        self.tree.remove_file(&self.marker(marker))?;
        if self.tree.exists(&self.path)? { self.tree.sync_dir(&self.path) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn work_dir() -> (tempfile::TempDir, WorkDir) {
        let root = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::new(&Volume::at(root.path()), "3f9c21aa");
        work_dir.create().unwrap();
        (root, work_dir)
    }

    #[test]
    fn marker_keeps_its_content() {
        let (_root, work_dir) = work_dir();
        assert_eq!(work_dir.read_marker(Marker::Upgraded).unwrap(), None);
        work_dir.write_marker(Marker::Upgraded, "0/5A3F2E8").unwrap();
        assert!(work_dir.has(Marker::Upgraded));
        assert_eq!(work_dir.read_marker(Marker::Upgraded).unwrap().as_deref(), Some("0/5A3F2E8"));
    }

    #[test]
    fn reserve_is_not_made_once_a_journal_exists() {
        let (_root, work_dir) = work_dir();
        work_dir.make_reserve().unwrap();
        assert_eq!(fs::metadata(work_dir.reserve()).unwrap().len(), RESERVE_BYTES as u64);
        fs::write(work_dir.journal(), "").unwrap();
        work_dir.release_reserve();
        work_dir.make_reserve().unwrap();
        assert!(!work_dir.reserve().exists());
    }
}
