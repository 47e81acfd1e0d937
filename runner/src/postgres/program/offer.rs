//! The extensions that an installation offers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use pgops_volume::FileError;
use serde::{Deserialize, Serialize};

/// The files of an extension directory, by name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Offer {
    /// The scripts, without their suffix.
    pub scripts: BTreeSet<String>,
    /// The default version of each extension, if its control file names one.
    pub versions: BTreeMap<String, Option<String>>,
}

impl Offer {
    /// Reads the extension directory below the directory of shared files.
    pub fn read(sharedir: &Path) -> Result<Self, FileError> {
        let directory = sharedir.join("extension");
        let mut offer = Self::default();
        let mut add = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(extension) = name.strip_suffix(".control") {
                // Its comment may be in any encoding.
                let control = fs::read(entry.path())?;
                let version = default_version(&String::from_utf8_lossy(&control));
                offer.versions.insert(extension.to_owned(), version);
            } else if let Some(script) = name.strip_suffix(".sql") {
                offer.scripts.insert(script.to_owned());
            }
            Ok(())
        };
        let read = fs::read_dir(&directory).and_then(|mut entries| entries.try_for_each(&mut add));
        read.map_err(FileError::on("read", &directory))?;
        Ok(offer)
    }

    /// Whether it has the extension.
    #[must_use]
    pub fn has(&self, extension: &str) -> bool {
        self.versions.contains_key(extension)
    }

    /// The version that `CREATE EXTENSION` installs.
    #[must_use]
    pub fn default_version(&self, extension: &str) -> Option<&str> {
        self.versions.get(extension)?.as_deref()
    }

    /// Whether update scripts lead from one version to another.
    #[must_use]
    pub fn has_update_path(&self, extension: &str, from: &str, to: &str) -> bool {
        let mut reached = BTreeSet::from([from]);
        loop {
            let before = reached.len();
            for script in &self.scripts {
                let parts: Vec<_> = script.split("--").collect();
                if let [name, low, high] = parts[..]
                    && name == extension
                    && reached.contains(low)
                {
                    reached.insert(high);
                }
            }
            if reached.contains(to) || reached.len() == before {
                return reached.contains(to);
            }
        }
    }
}

/// The version in a control file.
fn default_version(control: &str) -> Option<String> {
    control.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim().strip_prefix('\'')?;
        value.split('\'').next().filter(|_| key.trim() == "default_version").map(ToOwned::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offer_has_the_scripts_and_default_versions_of_an_image() {
        let sharedir = tempfile::tempdir().unwrap();
        let directory = sharedir.path().join("extension");
        fs::create_dir(&directory).unwrap();
        let control = "# pg_stat_statements extension\ncomment = 'track'\ndefault_version = '1.11'\n";
        fs::write(directory.join("pg_stat_statements.control"), control).unwrap();
        fs::write(directory.join("pg_stat_statements--1.9--1.11.sql"), "").unwrap();
        let offer = Offer::read(sharedir.path()).unwrap();
        assert_eq!(offer.default_version("pg_stat_statements"), Some("1.11"));
        assert!(offer.has_update_path("pg_stat_statements", "1.9", "1.11"));
        assert!(!offer.has("hstore"));
    }

    #[test]
    fn control_file_in_another_encoding_is_read() {
        let sharedir = tempfile::tempdir().unwrap();
        let directory = sharedir.path().join("extension");
        fs::create_dir(&directory).unwrap();
        let control = b"comment = 'Gr\xf6\xdfe'\ndefault_version = '1.0'\n";
        fs::write(directory.join("size.control"), control).unwrap();
        assert_eq!(Offer::read(sharedir.path()).unwrap().default_version("size"), Some("1.0"));
    }

    #[test]
    fn image_without_an_extension_directory_is_an_error() {
        assert!(Offer::read(Path::new("/nonexistent")).is_err());
    }
}
