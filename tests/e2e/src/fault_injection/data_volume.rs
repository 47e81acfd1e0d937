//! A database's volume, read on the node.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use pgops_api::layout;

/// A database's volume, mounted on the node.
pub(super) struct DataVolume(PathBuf);

impl DataVolume {
    pub(super) fn new(root: PathBuf) -> Self {
        Self(root)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The journal of a major upgrade, once it exists.
    pub(super) fn journal(&self, request_uid: &str) -> anyhow::Result<Option<String>> {
        let directory = layout::request_dir(request_uid);
        let directory = directory.strip_prefix(layout::VOLUME_ROOT)?;
        Ok(std::fs::read_to_string(self.0.join(directory).join("journal")).ok())
    }

    /// PostgreSQL's system identifier: initdb generates a new one for each cluster, and it is the first field of
    /// the control file.
    pub(super) fn system_identifier(&self, major: u32) -> Option<u64> {
        let global = self.0.join(major.to_string()).join("data/global");
        let control = std::fs::read(global.join("pg_control"))
            .or_else(|_| std::fs::read(global.join("pg_control.old")))
            .ok()?;
        Some(u64::from_le_bytes(control.get(..8)?.try_into().ok()?))
    }

    /// Fails unless the `present` version is active and no unretired data of the `absent` one exists.
    pub(super) fn ensure_holds_only(&self, present: u32, absent: u32) -> anyhow::Result<()> {
        let active = std::fs::read_to_string(self.0.join(".pgops/active"))?;
        ensure!(active.trim() == present.to_string(), "the volume's active version is {active:?}");
        ensure!(self.system_identifier(present).is_some(), "version {present} has no control file");
        // Old data may be retained for a while, and is marked as retired then.
        let retired = self.0.join(".pgops/retired").join(absent.to_string()).exists();
        ensure!(
            retired || !self.0.join(absent.to_string()).exists(),
            "data of version {absent} is left on the volume"
        );
        Ok(())
    }
}
