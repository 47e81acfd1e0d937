//! Retired data: data directories that an upgrade has replaced, and until when they are kept.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pgops_api::layout::RETIRED_DIR;

use crate::durable::{create_private_dir, replace, sync_dir};
use crate::error::FileError;
use crate::missing::{ignore_not_found, list_if_exists, read_if_exists};
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
        create_private_dir(&self.resolve(RETIRED_DIR))?;
        sync_dir(&self.state_dir())?;
        replace(&self.retired_file(major), format!("{until}\n").as_bytes())
    }

    /// Removes the record that the data of a major version was replaced: it serves, or is deleted.
    pub fn clear_retired(&self, major: u32) -> Result<(), FileError> {
        let file = self.retired_file(major);
        ignore_not_found(fs::remove_file(&file)).map_err(FileError::on("remove", &file))
    }

    /// Until when the data of a major version is kept, if it was replaced.
    pub fn retired_until(&self, major: u32) -> Result<Option<Timestamp>, FileError> {
        read_time(&self.retired_file(major))
    }

    /// All data that was replaced and is not removed yet.
    pub fn retired(&self) -> Result<Vec<Retired>, FileError> {
        let mut all = Vec::new();
        for path in list_if_exists(&self.resolve(RETIRED_DIR))? {
            let major = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            let Some(major) = major else { continue };
            all.extend(read_time(&path)?.map(|until| Retired { major, until }));
        }
        Ok(all)
    }

    fn retired_file(&self, major: u32) -> PathBuf {
        self.resolve(RETIRED_DIR).join(major.to_string())
    }
}

fn read_time(path: &Path) -> Result<Option<Timestamp>, FileError> {
    let Some(text) = read_if_exists(path)? else { return Ok(None) };
    text.trim()
        .parse()
        .map(Some)
        .map_err(|error: jiff::Error| FileError::invalid("read the time in", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

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
