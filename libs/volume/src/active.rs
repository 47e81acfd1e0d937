//! The active version: the major version whose data directory serves. Only its server may start.

use pgops_api::layout::ACTIVE_FILE;

use crate::error::FileError;
use crate::paths::Volume;

impl Volume {
    /// The active version, if the volume names one.
    pub fn active(&self) -> Result<Option<u32>, FileError> {
        let path = self.resolve(ACTIVE_FILE);
        let Some(text) = self.tree().read_text_if_exists(&path)? else { return Ok(None) };
        let invalid = |_| {
            let reason = format!("{:?} is not a major version of PostgreSQL", text.trim_end());
            FileError::invalid("read", &path, reason)
        };
        text.trim().parse().map(Some).map_err(invalid)
    }

    /// Makes a major version active: the switchover of a major upgrade, and its undo.
    pub fn set_active(&self, major: u32) -> Result<(), FileError> {
        self.tree().replace(&self.resolve(ACTIVE_FILE), format!("{major}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::fs;

    fn volume() -> (tempfile::TempDir, Volume) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(".pgops")).unwrap();
        let volume = Volume::at(root.path());
        (root, volume)
    }

    #[test]
    fn active_version_is_the_one_written_last() {
        let (root, volume) = volume();
        assert_eq!(volume.active().unwrap(), None);
        volume.set_active(13).unwrap();
        volume.set_active(17).unwrap();
        assert_eq!(volume.active().unwrap(), Some(17));
        assert_eq!(fs::read_to_string(root.path().join(".pgops/active")).unwrap(), "17\n");
    }

    #[test]
    fn active_version_that_is_not_a_number_is_an_error() {
        let (root, volume) = volume();
        fs::write(root.path().join(".pgops/active"), "latest\n").unwrap();
        let error = volume.active().unwrap_err();
        assert!(error.source().unwrap().to_string().contains("\"latest\""), "{error}");
    }
}
