//! The tablespaces of a data directory.

use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::paths::Volume;

impl Volume {
    /// The directories of the tablespaces that a data directory links to, on this volume or elsewhere.
    pub fn tablespaces(&self, data_dir: &Path) -> Result<Vec<PathBuf>, FileError> {
        let links = self.tree().list_if_exists(&data_dir.join("pg_tblspc"))?;
        // One that was made in place (`allow_in_place_tablespaces`) is a directory itself.
        links.into_iter().map(|link| Ok(self.tree().link_target(&link)?.unwrap_or(link))).collect()
    }

    /// Whether a path is a directory of this volume, reached without a link. Only such a tablespace is accessed.
    pub fn is_own_dir(&self, path: &Path) -> Result<bool, FileError> {
        match self.tree().is_dir(path) {
            // Elsewhere, or by a link.
            Err(error) if error.is_refusal() => Ok(false),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn tablespaces_are_links_or_directories_in_place() {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::at(root.path());
        let data_dir = volume.data_dir(13);
        assert!(volume.tablespaces(&data_dir).unwrap().is_empty());
        let links = data_dir.join("pg_tblspc");
        fs::create_dir_all(links.join("16400")).unwrap();
        symlink("/mnt/fast", links.join("16401")).unwrap();
        let mut found = volume.tablespaces(&data_dir).unwrap();
        found.sort();
        let mut expected = [links.join("16400"), PathBuf::from("/mnt/fast")];
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn only_directories_of_the_volume_are_its_own() {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::at(root.path());
        fs::create_dir(root.path().join("fast")).unwrap();
        symlink("fast", root.path().join("link")).unwrap();
        fs::create_dir(root.path().join("fast/below")).unwrap();
        let is_own = |path: &Path| volume.is_own_dir(path).unwrap();
        assert!(is_own(&root.path().join("fast")));
        for path in ["link", "link/below", "missing", "fast/../../etc"] {
            assert!(!is_own(&root.path().join(path)), "{path}");
        }
        assert!(!is_own(Path::new("/etc")));
    }
}
