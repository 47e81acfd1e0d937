//! The tablespaces of a data directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::missing::list_if_exists;

/// The directories of the tablespaces that a data directory links to, whether they can be seen here or not.
pub fn tablespaces(data_dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let links = list_if_exists(&data_dir.join("pg_tblspc"))?;
    let location = |link: PathBuf| match fs::read_link(&link) {
        // One that was made in place (`allow_in_place_tablespaces`) is a directory itself.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(link),
        target => target.map_err(FileError::on("read the link", &link)),
    };
    links.into_iter().map(location).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tablespaces_are_links_or_directories_in_place() {
        let data_dir = tempfile::tempdir().unwrap();
        assert!(tablespaces(data_dir.path()).unwrap().is_empty());
        let links = data_dir.path().join("pg_tblspc");
        fs::create_dir_all(links.join("16400")).unwrap();
        std::os::unix::fs::symlink("/mnt/fast", links.join("16401")).unwrap();
        let mut found = tablespaces(data_dir.path()).unwrap();
        found.sort();
        let mut expected = [links.join("16400"), PathBuf::from("/mnt/fast")];
        expected.sort();
        assert_eq!(found, expected);
    }
}
