//! A directory tree that others change too: nothing outside of it is accessed, and no access waits for them.
//!
//! A superuser of the database can put anything on its volume, also at the paths of pgops: links to files that only
//! another container has, FIFOs on which opening waits forever, files without an end. So a path is resolved name by name,
//! each relative to the directory that was opened before it, and no name may be a symbolic link. That needs no `openat2`,
//! which old kernels and some seccomp profiles do not have.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use crate::refused::Refused;

/// A directory tree, which is only accessed by its methods. Their paths are absolute or not as that of its root.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The tree below the directory `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its topmost directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The names that lead from the root to a path.
    pub(crate) fn names<'a>(&self, path: &'a Path) -> io::Result<Vec<&'a OsStr>> {
        let outside = || io::Error::from(Refused::Outside(self.root.clone()));
        let relative = path.strip_prefix(&self.root).map_err(|_| outside())?;
        let name = |component: Component<'a>| match component {
            Component::Normal(name) => Ok(name),
            _ => Err(outside()),
        };
        relative.components().map(name).collect()
    }

    pub(crate) fn open_root(&self) -> io::Result<OwnedFd> {
        Ok(openat(CWD, &self.root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Where an entry is, or would be.
    pub(crate) fn place<'a>(&self, path: &'a Path) -> io::Result<Place<'a>> {
        let mut names = self.names(path)?;
        let name = names.pop().ok_or_else(|| Refused::Outside(self.root.clone()))?;
        let mut directory = self.open_root()?;
        for name in names {
            directory = enter(directory.as_fd(), name, OFlags::PATH)?;
        }
        Ok(Place { directory, name })
    }

    /// Opens a directory for listing it.
    pub(crate) fn open_dir(&self, path: &Path) -> io::Result<OwnedFd> {
        if self.names(path)?.is_empty() {
            return enter(self.open_root()?.as_fd(), OsStr::new("."), OFlags::RDONLY);
        }
        let place = self.place(path)?;
        enter(place.directory.as_fd(), place.name, OFlags::RDONLY)
    }
}

/// Opens a directory in another one.
pub(crate) fn enter(directory: BorrowedFd<'_>, name: &OsStr, access: OFlags) -> io::Result<OwnedFd> {
    let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty()).map_err(|errno| explain(directory, name, errno))
}

/// An entry of a directory, which may exist or not.
pub(crate) struct Place<'a> {
    pub(crate) directory: OwnedFd,
    pub(crate) name: &'a OsStr,
}

impl Place<'_> {
    /// The entry itself: a link is not followed.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        Ok(statat(&self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Opens a regular file. Anything else is refused, and opening it does not block.
    pub(crate) fn open(&self, access: OFlags) -> io::Result<File> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = openat(&self.directory, self.name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| explain(self.directory.as_fd(), self.name, errno))?;
        match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
            FileType::RegularFile => Ok(opened.into()),
            kind => Err(Refused::not_regular(kind).into()),
        }
    }

    /// Opens a regular file for writing in place. With another name it would be another file that is written.
    pub(crate) fn open_for_writing(&self, access: OFlags) -> io::Result<File> {
        let file = self.open(access | OFlags::WRONLY)?;
        if fstat(&file)?.st_nlink > 1 {
            return Err(Refused::HardLink.into());
        }
        Ok(file)
    }
}

/// The reason why an entry could not be opened, where the kernel's answer does not tell it.
fn explain(directory: BorrowedFd<'_>, name: &OsStr, errno: Errno) -> io::Error {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Symlink) => Refused::Link(name.to_string_lossy().into_owned()).into(),
        Ok(kind) if errno == Errno::NXIO => Refused::not_regular(kind).into(),
        _ => errno.into(),
    }
}
