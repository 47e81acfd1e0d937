//! How much the data directories use, how much the volume has free, and what it can do.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Instant;

use pgops_volume::{FileError, Volume, ignore_not_found};

use super::work_dir::WorkDir;

/// Large enough to rate the volume, small enough not to disturb the database.
const RATE_BYTES: usize = 16 * 1024 * 1024;

/// Bytes in use below a directory; a hard link counts once for each name.
pub fn size(directory: &Path) -> Result<u64, FileError> {
    let mut sum = 0;
    for entry in fs::read_dir(directory).map_err(FileError::on("list", directory))? {
        let path = entry.map_err(FileError::on("list", directory))?.path();
        // A file of a serving database may be deleted between the listing and this call.
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            result => result.map_err(FileError::on("measure", &path))?,
        };
        sum += if metadata.is_dir() { size(&path)? } else { metadata.len() };
    }
    Ok(sum)
}

/// Bytes of the volume that are available to us.
pub fn free(volume: &Volume) -> Result<u64, FileError> {
    let root = volume.root();
    let stat = rustix::fs::statvfs(root).map_err(FileError::on("measure the free space of", root))?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// Bytes per second that the volume writes durably, by a small probe; 0 if there is no space for it.
pub fn write_rate(work_dir: &WorkDir) -> Result<u64, FileError> {
    let path = work_dir.path().join("write-rate");
    let began = Instant::now();
    let written = fs::write(&path, vec![7; RATE_BYTES]).and_then(|()| File::open(&path)?.sync_all());
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    ignore_not_found(fs::remove_file(&path)).map_err(FileError::on("remove", &path))?;
    match written {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(0),
        written => written
            .map(|()| RATE_BYTES as u64 * 1000 / milliseconds)
            .map_err(FileError::on("measure the speed of the volume with", &path)),
    }
}

/// Whether files on the volume can share blocks.
#[must_use]
pub fn can_reflink(work_dir: &WorkDir) -> bool {
    let probe = || -> io::Result<()> {
        let source = work_dir.path().join("reflink-source");
        let target = work_dir.path().join("reflink-target");
        fs::write(&source, [7; 8192])?;
        let cloned = File::create(&target)
            .and_then(|to| rustix::fs::ioctl_ficlone(&to, &File::open(&source)?).map_err(io::Error::from));
        fs::remove_file(&source)?;
        fs::remove_file(&target)?;
        cloned
    };
    probe().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_includes_subdirectories() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("base/1")).unwrap();
        fs::write(directory.path().join("PG_VERSION"), "x").unwrap();
        fs::write(directory.path().join("base/1/1249"), "x").unwrap();
        assert_eq!(size(directory.path()).unwrap(), 2);
    }
}
