//! Writing files and directories of a tree, and making changes durable: they survive a crash of the node once the call has
//! returned.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fchmod, fstat, fsync, mkdirat, renameat};
use rustix::io::Errno;

use crate::error::FileError;
use crate::tree::{Tree, enter};

/// Access of users other than the owner and readers of its group: what a `PostgreSQL` server refuses.
const OPEN_TO_OTHERS: u32 = 0o027;

impl Tree {
    /// Makes `path` hold `content`: readers see the old or the new content, and a crash leaves one of them.
    pub fn replace(&self, path: &Path, content: &[u8]) -> Result<(), FileError> {
        let temporary = path.with_extension("new");
        let mut file = self.create_file(&temporary)?;
        file.write_all(content).map_err(FileError::on("write", &temporary))?;
        file.sync_all().map_err(FileError::on("sync", &temporary))?;
        self.rename(&temporary, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new("/")))
    }

    /// Creates a new file, in place of one that exists: that may be a link, or have another name.
    pub fn create_file(&self, path: &Path) -> Result<File, FileError> {
        self.remove_file(path)?;
        let create = || self.place(path)?.open(OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL);
        create().map_err(FileError::on("create", path))
    }

    /// Opens a file for changing it in place; creates it if it does not exist.
    pub fn open_for_update(&self, path: &Path) -> Result<File, FileError> {
        let open = || self.place(path)?.open_for_writing(OFlags::CREATE);
        open().map_err(FileError::on("open", path))
    }

    /// Renames an entry of the tree.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        let rename = || -> io::Result<()> {
            let (old, new) = (self.place(from)?, self.place(to)?);
            Ok(renameat(&old.directory, old.name, &new.directory, new.name)?)
        };
        rename().map_err(FileError::on("rename a file to", to))
    }

    /// Makes renames and removals in a directory durable.
    pub fn sync_dir(&self, path: &Path) -> Result<(), FileError> {
        self.open_dir(path).and_then(|directory| Ok(fsync(directory)?)).map_err(FileError::on("sync", path))
    }

    /// Creates a directory, with its parents, that only its owner may enter, unless it exists.
    pub fn create_dir(&self, path: &Path) -> Result<(), FileError> {
        let create = || -> io::Result<()> {
            let mut directory = self.open_root()?;
            for name in self.names(path)? {
                match mkdirat(&directory, name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                directory = enter(directory.as_fd(), name, OFlags::PATH)?;
            }
            Ok(())
        };
        create().map_err(FileError::on("create", path))
    }

    /// Closes a directory to all users but its owner, unless a server would accept its mode.
    pub fn close_to_others(&self, path: &Path) -> Result<(), FileError> {
        let close = || -> io::Result<()> {
            let directory = self.open_dir(path)?;
            if fstat(&directory)?.st_mode & OPEN_TO_OTHERS != 0 {
                fchmod(&directory, Mode::RWXU)?;
            }
            Ok(())
        };
        close().map_err(FileError::on("set the mode of", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn replaced_file_has_the_new_content_and_no_leftover() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("active");
        let tree = Tree::at(directory.path());
        tree.replace(&path, b"13\n").unwrap();
        tree.replace(&path, b"17\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "17\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn created_directories_and_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::at(root.path());
        let directory = root.path().join("a/b");
        tree.create_dir(&directory).unwrap();
        tree.create_dir(&directory).unwrap();
        tree.create_file(&directory.join("c")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
        assert_eq!([mode(&root.path().join("a")), mode(&directory), mode(&directory.join("c"))], [0; 3]);
    }
}
