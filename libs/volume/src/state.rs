//! Whether a file has been written since.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::FileError;
use crate::tree::Tree;

/// A state of a file: whatever writes to it, or replaces it, leads to another one. The kernel sets the time of the last change,
/// and no program without privileges can set it back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileState {
    inode: u64,
    changed: (i64, i64),
}

impl Tree {
    /// The state of a file.
    pub fn state(&self, path: &Path) -> Result<FileState, FileError> {
        let look = || -> io::Result<FileState> {
            let metadata = self.place(path)?.open(OFlags::RDONLY)?.metadata()?;
            Ok(FileState { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) })
        };
        look().map_err(FileError::on("look at", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::thread::sleep;
    use std::time::{Duration, UNIX_EPOCH};

    /// Longer than the kernel's clock for files takes to advance.
    const TICK: Duration = Duration::from_millis(20);

    #[test]
    fn state_of_a_file_stays_until_it_is_written_or_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (tree, path) = (Tree::at(root.path()), root.path().join("pg_control"));
        fs::write(&path, "1").unwrap();
        let first = tree.state(&path).unwrap();
        sleep(TICK);
        fs::read(&path).unwrap();
        assert_eq!(tree.state(&path).unwrap(), first);
        fs::write(&path, "1").unwrap();
        let second = tree.state(&path).unwrap();
        assert_ne!(second, first);
        let other = root.path().join("other");
        fs::write(&other, "1").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_ne!(tree.state(&path).unwrap(), second);
    }

    #[test]
    fn state_of_a_file_cannot_be_set_back() {
        let root = tempfile::tempdir().unwrap();
        let (tree, path) = (Tree::at(root.path()), root.path().join("pg_control"));
        fs::write(&path, "1").unwrap();
        let first = tree.state(&path).unwrap();
        sleep(TICK);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH).unwrap();
        assert_ne!(tree.state(&path).unwrap(), first);
    }

    #[test]
    fn missing_file_has_no_state() {
        let root = tempfile::tempdir().unwrap();
        Tree::at(root.path()).state(&root.path().join("pg_control")).unwrap_err();
    }
}
