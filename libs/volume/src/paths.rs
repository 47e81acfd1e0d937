//! Where things are on the volume of a database.
//!
//! ```text
//! /var/pv/                     the volume's root, mounted once, so that links and renames work
//!   13/data  17/data           a data directory for each major version
//!   .pgops/active              the major version that serves: one line, replaced atomically
//!   .pgops/interlock           flock(2), held while any PostgreSQL program may touch the data
//!   .pgops/requests/<uid>/     the journal and the work files of one upgrade
//!   .pgops/retired/<major>     an upgrade has replaced this data: one line, the time when it may be removed
//! ```

use std::path::{Path, PathBuf};

/// Mount point of a database's volume, in the database's pod and in the worker.
pub const VOLUME_ROOT: &str = "/var/pv";
/// The directory that belongs to pgops on the volume.
pub const STATE_DIR: &str = "/var/pv/.pgops";
/// One line: the major version whose data directory serves. A major upgrade switches over by replacing it.
pub const ACTIVE_FILE: &str = "/var/pv/.pgops/active";
/// A file for each major version whose data an upgrade has replaced, with the time (RFC 3339) from which on the
/// new version's instance removes it.
pub const RETIRED_DIR: &str = "/var/pv/.pgops/retired";
/// Held with flock(2) as long as any `PostgreSQL` program may touch the data.
pub const INTERLOCK_FILE: &str = "/var/pv/.pgops/interlock";

/// The data directory of a major version.
#[must_use]
pub fn pgdata(major: u32) -> String {
    format!("{VOLUME_ROOT}/{major}/data")
}

/// The major version that the path of a data directory names.
#[must_use]
pub fn major_of_pgdata(pgdata: &str) -> Option<u32> {
    pgdata.strip_prefix(VOLUME_ROOT)?.split('/').nth(1)?.parse().ok()
}

/// The directory of one upgrade on the volume.
#[must_use]
pub fn request_dir(uid: &str) -> PathBuf {
    Path::new(STATE_DIR).join("requests").join(uid)
}

/// A mounted volume.
#[derive(Clone, Debug)]
pub struct Volume {
    root: PathBuf,
}

impl Volume {
    /// The volume that is mounted at `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The mount point.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a major version. It holds the data directory, and what an operator has put next to it.
    #[must_use]
    pub fn major_dir(&self, major: u32) -> PathBuf {
        self.root.join(major.to_string())
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
        self.root.join(absolute.strip_prefix(VOLUME_ROOT).unwrap_or(absolute))
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

    #[test]
    fn data_directory_names_its_major_version() {
        assert_eq!(major_of_pgdata(&pgdata(17)), Some(17));
        assert_eq!(major_of_pgdata("/var/pv/data"), None);
        assert_eq!(major_of_pgdata("/var/lib/postgresql/17/data"), None);
    }
}
