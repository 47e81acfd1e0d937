//! Reading files and directories of a tree. What is missing is an answer and not an error.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, OFlags, readlinkat};
use rustix::io::Errno;

use crate::error::FileError;
use crate::refused::Refused;
use crate::tree::Tree;

/// The largest file that is read as a whole. Those of pgops are far smaller; a file without an end would take all memory.
const MAX_BYTES: u64 = 16 << 20;
/// The largest directory that is listed.
const MAX_ENTRIES: usize = 100_000;
/// How deep directories are nested: those of `PostgreSQL` are not five levels deep.
pub(crate) const MAX_DEPTH: usize = 64;

impl Tree {
    /// The content of a file; `None` if it does not exist.
    pub fn read_if_exists(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        optional(self.read(path)).map_err(FileError::on("read", path))
    }

    /// The content of a text file; `None` if it does not exist.
    pub fn read_text_if_exists(&self, path: &Path) -> Result<Option<String>, FileError> {
        let Some(content) = self.read_if_exists(path)? else { return Ok(None) };
        String::from_utf8(content).map(Some).map_err(|error| FileError::invalid("read", path, error))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.place(path)?.open(OFlags::RDONLY)?;
        let mut content = Vec::new();
        // Not by its size: it may grow meanwhile.
        file.take(MAX_BYTES + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_BYTES {
            return Err(Refused::TooLarge(MAX_BYTES).into());
        }
        Ok(content)
    }

    /// Opens a file for reading.
    pub fn open(&self, path: &Path) -> Result<File, FileError> {
        self.place(path).and_then(|place| place.open(OFlags::RDONLY)).map_err(FileError::on("open", path))
    }

    /// The last bytes of a file.
    pub fn read_end(&self, path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = self.place(path)?.open(OFlags::RDONLY)?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(size.saturating_sub(max_bytes)))?;
            let mut content = Vec::new();
            file.take(max_bytes).read_to_end(&mut content)?;
            Ok(content)
        };
        read().map_err(FileError::on("read", path))
    }

    /// The paths of a directory's entries; empty if it does not exist.
    pub fn list_if_exists(&self, directory: &Path) -> Result<Vec<PathBuf>, FileError> {
        let list = || -> io::Result<Vec<PathBuf>> {
            let mut paths = Vec::new();
            for entry in Dir::new(self.open_dir(directory)?)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                if paths.len() == MAX_ENTRIES {
                    return Err(Refused::TooManyEntries(MAX_ENTRIES).into());
                }
                paths.push(directory.join(OsStr::from_bytes(name)));
            }
            Ok(paths)
        };
        Ok(optional(list()).map_err(FileError::on("list", directory))?.unwrap_or_default())
    }

    /// All regular files below a directory, as far as there are not too many; none if it does not exist.
    pub fn files_below(&self, directory: &Path) -> Result<Vec<PathBuf>, FileError> {
        let mut files = Vec::new();
        let mut directories = vec![(directory.to_owned(), 0)];
        while let Some((directory, depth)) = directories.pop() {
            for path in self.list_if_exists(&directory)? {
                match self.kind(&path)? {
                    Some(FileType::Directory) if depth < MAX_DEPTH => directories.push((path, depth + 1)),
                    Some(FileType::RegularFile) if files.len() < MAX_ENTRIES => files.push(path),
                    _ => {}
                }
            }
        }
        Ok(files)
    }

    /// Like `Path::try_exists`, but a dangling link exists too: nothing may be put in its place.
    pub fn exists(&self, path: &Path) -> Result<bool, FileError> {
        Ok(self.kind(path)?.is_some())
    }

    /// Whether a path is a directory, reached without a link.
    pub fn is_dir(&self, path: &Path) -> Result<bool, FileError> {
        if self.names(path).is_ok_and(|names| names.is_empty()) {
            return Ok(true);
        }
        Ok(self.kind(path)? == Some(FileType::Directory))
    }

    fn kind(&self, path: &Path) -> Result<Option<FileType>, FileError> {
        match self.place(path).and_then(|place| place.stat()) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(FileError::on("look at", path)(error)),
        }
    }

    /// What a symbolic link names; `None` if the path is something else.
    pub fn link_target(&self, path: &Path) -> Result<Option<PathBuf>, FileError> {
        let read = || -> io::Result<Option<PathBuf>> {
            let place = self.place(path)?;
            match readlinkat(&place.directory, place.name, Vec::new()) {
                Err(Errno::INVAL) => Ok(None),
                target => Ok(Some(OsStr::from_bytes(target?.as_bytes()).into())),
            }
        };
        read().map_err(FileError::on("read the link", path))
    }
}

/// `None` instead of the error of a missing file.
pub(crate) fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn missing_files_are_not_errors_and_others_are() {
        let directory = tempfile::tempdir().unwrap();
        let tree = Tree::at(directory.path());
        let missing = directory.path().join("missing/file");
        assert_eq!(tree.read_if_exists(&missing).unwrap(), None);
        assert!(tree.list_if_exists(&missing).unwrap().is_empty());
        assert!(tree.files_below(&missing).unwrap().is_empty());
        assert!(!tree.exists(&missing).unwrap());
        fs::create_dir(directory.path().join("missing")).unwrap();
        assert!(tree.read_if_exists(&directory.path().join("missing")).is_err());
    }

    #[test]
    fn dangling_link_exists() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("data");
        std::os::unix::fs::symlink("/nowhere", &link).unwrap();
        let tree = Tree::at(directory.path());
        assert!(tree.exists(&link).unwrap());
        assert!(!tree.is_dir(&link).unwrap());
        assert_eq!(tree.link_target(&link).unwrap().as_deref(), Some(Path::new("/nowhere")));
    }

    #[test]
    fn end_of_a_file_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "first\nlast\n").unwrap();
        let tree = Tree::at(directory.path());
        assert_eq!(tree.read_end(&path, 5).unwrap(), b"last\n");
        assert_eq!(tree.read_end(&path, 100).unwrap(), b"first\nlast\n");
    }
}
