//! How much the volume has free, and what it can do.

use std::io::{self, Write};
use std::time::Instant;

use pgops_volume::FileError;

use super::work_dir::WorkDir;

/// Large enough to rate the volume, small enough not to disturb the database.
const RATE_BYTES: usize = 16 * 1024 * 1024;

/// Bytes per second that the volume writes durably, by a small probe; 0 if there is no space for it.
pub fn write_rate(work_dir: &WorkDir) -> Result<u64, FileError> {
    let path = work_dir.path().join("write-rate");
    let began = Instant::now();
    let mut file = match work_dir.tree().create_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(0),
        result => result?,
    };
    let written = file.write_all(&vec![7; RATE_BYTES]).and_then(|()| file.sync_all());
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    work_dir.tree().remove_file(&path)?;
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
    let tree = work_dir.tree();
    let source = work_dir.path().join("reflink-source");
    let target = work_dir.path().join("reflink-target");
    let probe = || -> Result<bool, FileError> {
        let failed = FileError::on("write", &source);
        tree.create_file(&source)?.write_all(&[7; 8192]).map_err(failed)?;
        let (from, to) = (tree.open(&source)?, tree.create_file(&target)?);
        let cloned = rustix::fs::ioctl_ficlone(&to, &from).is_ok();
        tree.remove_file(&source)?;
        tree.remove_file(&target)?;
        Ok(cloned)
    };
    probe().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_volume::Volume;
    use std::fs;

    #[test]
    fn probes_leave_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::new(&Volume::at(root.path()), "3f9c21aa");
        work_dir.create().unwrap();
        assert!(write_rate(&work_dir).unwrap() > 0);
        let _ = can_reflink(&work_dir);
        assert_eq!(fs::read_dir(work_dir.path()).unwrap().count(), 0);
    }
}
