//! Operations for which a missing file or directory is an answer and not an error.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::FileError;

/// Ignores that the file was missing: what does not exist need not be removed.
pub fn ignore_not_found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The content of a text file; `None` if it does not exist.
pub fn read_if_exists(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some).map_err(FileError::on("read", path)),
    }
}

/// The paths of a directory's entries; empty if it does not exist.
pub fn list_if_exists(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(FileError::on("list", directory))?,
    };
    entries.map(|entry| Ok(entry.map_err(FileError::on("list", directory))?.path())).collect()
}

/// Like `Path::try_exists`, but a dangling link exists too: nothing may be put in its place.
pub fn exists(path: &Path) -> Result<bool, FileError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(FileError::on("look at", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_files_are_not_errors_and_others_are() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        assert_eq!(read_if_exists(&missing).unwrap(), None);
        assert!(list_if_exists(&missing).unwrap().is_empty());
        assert!(!exists(&missing).unwrap());
        ignore_not_found(fs::remove_file(&missing)).unwrap();
        assert!(read_if_exists(directory.path()).is_err());
        assert!(ignore_not_found(fs::remove_file(directory.path())).is_err());
    }

    #[test]
    fn dangling_link_exists() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("data");
        std::os::unix::fs::symlink("/nowhere", &link).unwrap();
        assert!(exists(&link).unwrap());
    }
}
