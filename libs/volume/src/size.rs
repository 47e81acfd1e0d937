//! How much data directories use.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, OFlags, statat};
use rustix::io::Errno;

use crate::error::FileError;
use crate::paths::Volume;
use crate::read::{MAX_DEPTH, optional};
use crate::refused::Refused;
use crate::tree::{Tree, enter};

impl Volume {
    /// Bytes in use by the data directory of a major version and its tablespaces on the volume.
    pub fn data_size(&self, major: u32) -> Result<u64, FileError> {
        let data_dir = self.data_dir(major);
        let mut sum = self.tree().size(&data_dir)?;
        for tablespace in self.tablespaces(&data_dir)? {
            // One that was made in place is below the data directory.
            if !tablespace.starts_with(&data_dir) && self.is_own_dir(&tablespace)? {
                sum += self.tree().size(&tablespace)?;
            }
        }
        Ok(sum)
    }
}

impl Tree {
    /// Bytes in use below a directory; a hard link counts once for each name, what a symbolic one leads to does not.
    pub fn size(&self, directory: &Path) -> Result<u64, FileError> {
        self.open_dir(directory)
            .and_then(|opened| size(opened.as_fd(), 0))
            .map_err(FileError::on("measure", directory))
    }
}

fn size(directory: BorrowedFd<'_>, depth: usize) -> io::Result<u64> {
    if depth > MAX_DEPTH {
        return Err(Refused::TooDeep(MAX_DEPTH).into());
    }
    let mut sum = 0;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let name = OsStr::from_bytes(name);
        // A file of a serving database may be deleted between the listing and this call.
        let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            result => result?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let opened = optional(enter(directory, name, OFlags::RDONLY))?;
                sum += opened.map_or(Ok(0), |opened| size(opened.as_fd(), depth + 1))?;
            }
            FileType::RegularFile => sum += u64::try_from(stat.st_size).unwrap_or(0),
            _ => {}
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn size_includes_subdirectories_and_tablespaces_on_the_volume() {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::at(root.path());
        let data_dir = volume.data_dir(13);
        for directory in ["base/1", "pg_tblspc/16400"] {
            fs::create_dir_all(data_dir.join(directory)).unwrap();
        }
        for file in ["PG_VERSION", "base/1/1249", "pg_tblspc/16400/1"] {
            fs::write(data_dir.join(file), "x").unwrap();
        }
        assert_eq!(volume.data_size(13).unwrap(), 3);
        let tablespace = root.path().join("fast");
        fs::create_dir(&tablespace).unwrap();
        fs::write(tablespace.join("1"), "xx").unwrap();
        symlink(&tablespace, data_dir.join("pg_tblspc/16401")).unwrap();
        symlink("/", data_dir.join("pg_tblspc/16402")).unwrap();
        symlink("..", data_dir.join("base/loop")).unwrap();
        assert_eq!(volume.data_size(13).unwrap(), 5);
    }
}
