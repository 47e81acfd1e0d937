//! Where things are on a mounted volume: the paths of [`pgops_api::layout`], below its mount point.

use std::path::{Path, PathBuf};

use pgops_api::layout::{INTERLOCK_FILE, STATE_DIR, VOLUME_ROOT, pgdata, request_dir};

use crate::tree::Tree;

/// A mounted volume.
#[derive(Clone, Debug)]
pub struct Volume {
    tree: Tree,
}

impl Volume {
    /// The volume that is mounted at `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { tree: Tree::at(root) }
    }

    /// The mount point.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.tree.root()
    }

    /// Its files and directories, which others change too.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The directory of a major version. It holds the data directory, and what an operator has put next to it.
    #[must_use]
    pub fn major_dir(&self, major: u32) -> PathBuf {
        self.root().join(major.to_string())
    }

    /// The data directory of a major version.
    #[must_use]
    pub fn data_dir(&self, major: u32) -> PathBuf {
        self.resolve(pgdata(major))
    }

    /// The directory that belongs to pgops.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.resolve(STATE_DIR)
    }

    /// The file of the [interlock](crate::Interlock).
    #[must_use]
    pub fn interlock(&self) -> PathBuf {
        self.resolve(INTERLOCK_FILE)
    }

    /// The work directory of one upgrade.
    #[must_use]
    pub fn request_dir(&self, uid: &str) -> PathBuf {
        self.resolve(request_dir(uid))
    }

    /// A path below [`VOLUME_ROOT`], on this volume.
    pub(crate) fn resolve(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.root().join(absolute.strip_prefix(VOLUME_ROOT).unwrap_or(absolute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_mount_point() {
        let volume = Volume::at("/mnt");
        assert_eq!(volume.data_dir(13), Path::new("/mnt/13/data"));
        assert_eq!(volume.interlock(), Path::new("/mnt/.pgops/interlock"));
        assert_eq!(volume.request_dir("3f9c"), Path::new("/mnt/.pgops/requests/3f9c"));
        assert_eq!(Volume::at(VOLUME_ROOT).data_dir(13), Path::new(&pgdata(13)));
    }
}
