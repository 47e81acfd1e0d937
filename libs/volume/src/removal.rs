//! Removing data, and nothing that an operator has put next to it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, OFlags, unlinkat};
use rustix::io::Errno;

use crate::error::FileError;
use crate::paths::Volume;
use crate::read::{MAX_DEPTH, optional};
use crate::refused::Refused;
use crate::tree::{Tree, enter};

impl Tree {
    /// Removes a file, or a link itself, if it exists.
    pub fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        let remove = || -> io::Result<()> {
            let place = self.place(path)?;
            Ok(unlinkat(&place.directory, place.name, AtFlags::empty())?)
        };
        optional(remove()).map(drop).map_err(FileError::on("remove", path))
    }

    /// Removes a directory that is empty, if it exists.
    pub fn remove_empty_dir(&self, path: &Path) -> Result<(), FileError> {
        let remove = || -> io::Result<()> {
            let place = self.place(path)?;
            Ok(unlinkat(&place.directory, place.name, AtFlags::REMOVEDIR)?)
        };
        optional(remove()).map(drop).map_err(FileError::on("remove", path))
    }

    /// Removes a directory and its content, if it exists. Links in it are removed, and not what they lead to.
    pub fn remove_dir(&self, path: &Path) -> Result<(), FileError> {
        let remove = || -> io::Result<()> {
            let place = self.place(path)?;
            remove_all(place.directory.as_fd(), place.name, 0)
        };
        optional(remove()).map(drop).map_err(FileError::on("remove", path))
    }
}

fn remove_all(parent: BorrowedFd<'_>, name: &OsStr, depth: usize) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        // A directory; POSIX has the other answer.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(Errno::NOENT) => return Ok(()),
        result => return Ok(result?),
    }
    if depth == MAX_DEPTH {
        // Each level takes a descriptor and a part of the stack.
        return Err(Refused::TooDeep(MAX_DEPTH).into());
    }
    let Some(directory) = optional(enter(parent, name, OFlags::RDONLY))? else { return Ok(()) };
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            remove_all(directory.as_fd(), OsStr::from_bytes(name), depth + 1)?;
        }
    }
    optional(unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(io::Error::from)).map(drop)
}

impl Volume {
    /// Removes the directory of a major version unless something is left in it, and makes that durable.
    pub fn remove_empty_major_dir(&self, major: u32) -> Result<(), FileError> {
        match self.tree().remove_empty_dir(&self.major_dir(major)) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            result => result?,
        }
        self.tree().sync_dir(self.root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn directory_is_removed_with_its_content_or_missing() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::at(root.path());
        let directory = root.path().join("data");
        fs::create_dir_all(directory.join("base/1")).unwrap();
        fs::write(directory.join("base/1/1249"), "x").unwrap();
        tree.remove_dir(&directory).unwrap();
        assert!(!directory.exists());
        tree.remove_dir(&directory).unwrap();
    }

    #[test]
    fn major_directory_is_removed_only_if_it_is_empty() {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::at(root.path());
        fs::create_dir_all(volume.data_dir(13)).unwrap();
        volume.remove_empty_major_dir(13).unwrap();
        assert!(volume.data_dir(13).exists());
        fs::remove_dir(volume.data_dir(13)).unwrap();
        volume.remove_empty_major_dir(13).unwrap();
        assert!(!volume.major_dir(13).exists());
        volume.remove_empty_major_dir(13).unwrap();
    }
}
