//! Retired data: data directories that an upgrade has replaced, and until when they are kept.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pgops_api::layout::RETIRED_DIR;

use crate::error::FileError;
use crate::paths::Volume;

/// Data of a major version that another one has replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retired {
    /// Its major version.
    pub major: u32,
    /// When it may be removed.
    pub until: Timestamp,
}

impl Volume {
    /// Records that the data of a major version was replaced, and until when it is kept. The new version's instance
    /// removes it then.
    pub fn retire(&self, major: u32, until: Timestamp) -> Result<(), FileError> {
        self.tree().create_dir(&self.resolve(RETIRED_DIR))?;
        self.tree().sync_dir(&self.state_dir())?;
        self.tree().replace(&self.retired_file(major), format!("{until}\n").as_bytes())
    }

    /// Removes the record that the data of a major version was replaced: it serves, or is deleted.
    pub fn clear_retired(&self, major: u32) -> Result<(), FileError> {
        self.tree().remove_file(&self.retired_file(major))
    }

    /// Until when the data of a major version is kept, if it was replaced.
    pub fn retired_until(&self, major: u32) -> Result<Option<Timestamp>, FileError> {
        self.read_time(&self.retired_file(major))
    }

    /// All data that was replaced and is not removed yet.
    pub fn retired(&self) -> Result<Vec<Retired>, FileError> {
        let mut all = Vec::new();
        for path in self.tree().list_if_exists(&self.resolve(RETIRED_DIR))? {
            let major = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            let Some(major) = major else { continue };
            all.extend(self.read_time(&path)?.map(|until| Retired { major, until }));
        }
        Ok(all)
    }

    fn read_time(&self, path: &Path) -> Result<Option<Timestamp>, FileError> {
        let Some(text) = self.tree().read_text_if_exists(path)? else { return Ok(None) };
        text.trim()
            .parse()
            .map(Some)
            .map_err(|error: jiff::Error| FileError::invalid("read the time in", path, error))
    }

    fn retired_file(&self, major: u32) -> PathBuf {
        self.resolve(RETIRED_DIR).join(major.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn retired_data_has_a_time_until_it_is_cleared() {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::at(root.path());
        assert_eq!(volume.retired_until(13).unwrap(), None);
        assert!(volume.retired().unwrap().is_empty());
        let until = "2026-11-26T02:14:03Z".parse().unwrap();
        volume.retire(13, until).unwrap();
        assert_eq!(volume.retired_until(13).unwrap(), Some(until));
        assert_eq!(volume.retired().unwrap(), [Retired { major: 13, until }]);
        volume.clear_retired(13).unwrap();
        volume.clear_retired(13).unwrap();
        assert!(volume.retired().unwrap().is_empty());
    }

    #[test]
    fn retired_time_that_cannot_be_read_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::at(root.path());
        volume.retire(13, Timestamp::UNIX_EPOCH).unwrap();
        fs::write(root.path().join(".pgops/retired/13"), "tomorrow").unwrap();
        assert!(volume.retired_until(13).is_err());
        assert!(volume.retired().is_err());
    }
}
