//! Removing data, and nothing that an operator has put next to it.

use std::fs;
use std::io;
use std::path::Path;

use crate::durable::sync_dir;
use crate::error::FileError;
use crate::missing::ignore_not_found;
use crate::paths::Volume;

/// Removes a directory and its content, if it exists.
pub fn remove_dir_if_exists(directory: &Path) -> Result<(), FileError> {
    ignore_not_found(fs::remove_dir_all(directory)).map_err(FileError::on("remove", directory))
}

impl Volume {
    /// Removes the directory of a major version unless something is left in it, and makes that durable.
    pub fn remove_empty_major_dir(&self, major: u32) -> Result<(), FileError> {
        let directory = self.major_dir(major);
        match fs::remove_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            result => ignore_not_found(result).map_err(FileError::on("remove", &directory))?,
        }
        sync_dir(self.root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_removed_with_its_content_or_missing() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("data");
        fs::create_dir_all(directory.join("base")).unwrap();
        remove_dir_if_exists(&directory).unwrap();
        assert!(!directory.exists());
        remove_dir_if_exists(&directory).unwrap();
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
