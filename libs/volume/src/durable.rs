//! Changes that survive a crash of the node once the call has returned.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::error::FileError;

/// Makes `path` hold `content`: readers see the old or the new content, and a crash leaves one of them.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary).map_err(FileError::on("create", &temporary))?;
    file.write_all(content).map_err(FileError::on("write", &temporary))?;
    file.sync_all().map_err(FileError::on("sync", &temporary))?;
    fs::rename(&temporary, path).map_err(FileError::on("rename a new file to", path))?;
    sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// Makes renames and removals in a directory durable.
pub fn sync_dir(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(FileError::on("sync", path))
}

/// Creates a directory, with its parents, that only its owner may enter, unless it exists.
pub fn create_private_dir(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(FileError::on("create", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_file_has_the_new_content_and_no_leftover() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("active");
        replace(&path, b"13\n").unwrap();
        replace(&path, b"17\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "17\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
