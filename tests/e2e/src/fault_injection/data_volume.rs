//! A database's volume, read on the node.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use pgops_volume::Volume;

/// A database's volume, mounted on the node.
pub(super) struct DataVolume(Volume);

impl DataVolume {
    pub(super) fn new(root: PathBuf) -> Self {
        Self(Volume::at(root))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.root()
    }

    /// The journal of a major upgrade, once it exists.
    pub(super) fn journal(&self, request_uid: &str) -> Option<String> {
        std::fs::read_to_string(self.0.request_dir(request_uid).join("journal")).ok()
    }

    /// PostgreSQL's system identifier: initdb generates a new one for each cluster, and it is the first field of
    /// the control file.
    pub(super) fn system_identifier(&self, major: u32) -> Option<u64> {
        let global = self.0.data_dir(major).join("global");
        let control = std::fs::read(global.join("pg_control"))
            .or_else(|_| std::fs::read(global.join("pg_control.old")))
            .ok()?;
        Some(u64::from_le_bytes(control.get(..8)?.try_into().ok()?))
    }

    /// Fails unless the `present` version is active and no unretired data of the `absent` one exists.
    pub(super) fn ensure_holds_only(&self, present: u32, absent: u32) -> anyhow::Result<()> {
        let active = self.0.active()?;
        ensure!(active == Some(present), "the volume's active version is {active:?}");
        ensure!(self.system_identifier(present).is_some(), "version {present} has no control file");
        // Old data may be retained for a while, and is marked as retired then.
        let retired = self.0.retired_until(absent)?.is_some();
        ensure!(
            retired || !self.0.major_dir(absent).exists(),
            "data of version {absent} is left on the volume"
        );
        Ok(())
    }
}
