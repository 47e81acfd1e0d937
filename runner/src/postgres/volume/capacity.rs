//! How much the volume has free, and what it can do.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use pgops_volume::{FileError, is_full};

use super::work_dir::WorkDir;

/// Large enough to rate the volume, small enough not to disturb the database.
const RATE_BYTES: usize = 16 * 1024 * 1024;
/// The same for files.
const RATE_FILES: u32 = 256;

/// How fast the volume writes durably.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WriteSpeed {
    /// 0 if there was no space to measure it.
    pub bytes_per_second: u64,
    /// What each of many files takes to be created and synced.
    pub file: Duration,
    /// What the first of them takes: it waits for all that the file system has to write before it.
    pub first_sync: Duration,
}

/// Measures how fast the volume creates files, and how fast it writes into them if anything `is_copied`: the measurement writes to
/// the volume of a serving database.
pub fn write_speed(work_dir: &WorkDir, is_copied: bool) -> Result<WriteSpeed, FileError> {
    let bytes_per_second = if is_copied { bytes_per_second(work_dir)? } else { 0 };
    let (file, first_sync) = file_durations(work_dir)?;
    Ok(WriteSpeed { bytes_per_second, file, first_sync })
}

fn bytes_per_second(work_dir: &WorkDir) -> Result<u64, FileError> {
    let path = work_dir.path().join("write-rate");
    let began = Instant::now();
    let mut file = match work_dir.tree().create_file(&path) {
        Err(error) if error.is_full() => return Ok(0),
        result => result?,
    };
    let written = file.write_all(&vec![7; RATE_BYTES]).and_then(|()| file.sync_all());
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    work_dir.tree().remove_file(&path)?;
    match written {
        Err(error) if is_full(&error) => Ok(0),
        written => written
            .map(|()| RATE_BYTES as u64 * 1000 / milliseconds)
            .map_err(FileError::on("measure the speed of the volume with", &path)),
    }
}

/// [`WriteSpeed::file`] and [`WriteSpeed::first_sync`]. All files are created before the first one is synced, as `pg_upgrade` does.
fn file_durations(work_dir: &WorkDir) -> Result<(Duration, Duration), FileError> {
    let directory = work_dir.path().join("file-rate");
    let tree = work_dir.tree();
    let began = Instant::now();
    let create = |number: u32| tree.create_file(&directory.join(number.to_string()));
    let created: Result<Vec<File>, FileError> =
        tree.create_dir(&directory).and_then(|()| (0..RATE_FILES).map(create).collect());
    let creation = began.elapsed();
    let synced = created.and_then(|files| sync(&files).map_err(FileError::on("sync files in", &directory)));
    tree.remove_dir(&directory)?;
    match synced {
        Err(error) if error.is_full() => Ok((Duration::ZERO, Duration::ZERO)),
        synced => synced.map(|(first, others)| ((creation + others) / RATE_FILES, first)),
    }
}

/// Syncs files; returns how long that took for the first one, and for all others.
fn sync(files: &[File]) -> io::Result<(Duration, Duration)> {
    let (first, others) = files.split_at(1.min(files.len()));
    let time = |files: &[File]| {
        let began = Instant::now();
        files.iter().try_for_each(File::sync_all).map(|()| began.elapsed())
    };
    Ok((time(first)?, time(others)?))
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
        let speed = write_speed(&work_dir, true).unwrap();
        assert!(speed.bytes_per_second > 0 && speed.file > Duration::ZERO, "{speed:?}");
        assert!(speed.first_sync > Duration::ZERO, "{speed:?}");
        assert_eq!(write_speed(&work_dir, false).unwrap().bytes_per_second, 0);
        let _ = can_reflink(&work_dir);
        assert_eq!(fs::read_dir(work_dir.path()).unwrap().count(), 0);
    }
}
