//! Extensions: `pg_upgrade` carries their objects over unchanged, and never checks whether the target image has the
//! extension, or which version of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pgops_volume::FileError;

use crate::postgres::client::inventory::Extension;
use crate::upgrade::{Finding, shortened};

/// What an image offers: the files of its extension directory, by name, and the control files' text.
#[derive(Debug, Default)]
pub struct Offer {
    scripts: BTreeSet<String>,
    controls: BTreeMap<String, String>,
}

impl Offer {
    /// Reads the extension directory of an installation.
    pub fn read(sharedir: &Path) -> Result<Self, FileError> {
        let directory = sharedir.join("extension");
        let mut offer = Self::default();
        let mut read = || -> std::io::Result<()> {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if let Some(extension) = name.strip_suffix(".control") {
                    offer.controls.insert(extension.to_owned(), fs::read_to_string(entry.path())?);
                } else if let Some(script) = name.strip_suffix(".sql") {
                    offer.scripts.insert(script.to_owned());
                }
            }
            Ok(())
        };
        read().map_err(FileError::on("read", &directory))?;
        Ok(offer)
    }

    /// The version in the control file.
    fn default_version(&self, extension: &str) -> Option<&str> {
        self.controls.get(extension)?.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            let value = value.trim().strip_prefix('\'')?;
            value.split('\'').next().filter(|_| key.trim() == "default_version")
        })
    }

    /// Whether update scripts lead from one version to another.
    fn has_update_path(&self, extension: &str, from: &str, to: &str) -> bool {
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

/// Notes about the installed extensions, one for each version of each.
pub fn notes(installed: &BTreeSet<Extension>, offer: &Offer) -> Vec<Finding> {
    let mut databases: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for Extension { name, version, database } in installed {
        databases.entry((name, version)).or_default().push(format!("\"{database}\""));
    }
    let each = databases.into_iter().filter_map(|((name, version), databases)| {
        let subject = format!("extension {name} {version} in database {}", shortened(&databases));
        if !offer.controls.contains_key(name) {
            let text = format!(
                "{subject}: the target image does not have it; its objects are carried over, but a backup of the \
                 database could not be restored there: DROP EXTENSION it if it is not needed, or use an image that has it"
            );
            return Some(Finding::note("extension-missing", text));
        }
        let target = offer.default_version(name).filter(|target| *target != version)?;
        let text = if offer.has_update_path(name, version, target) {
            format!("{subject}: the target image has {target}; ALTER EXTENSION … UPDATE updates to it")
        } else {
            format!(
                "{subject}: the target image has {target}, and no script that updates to it; see the extension's \
                 documentation for how to migrate"
            )
        };
        Some(Finding::note("extension-version", text))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        let control = "# pg_stat_statements extension\ncomment = 'track'\ndefault_version = '1.11'\n";
        let scripts = ["pg_stat_statements--1.8--1.9", "pg_stat_statements--1.9--1.11"];
        Offer {
            scripts: scripts.map(Into::into).into(),
            controls: [("pg_stat_statements".to_owned(), control.to_owned())].into(),
        }
    }

    fn texts(name: &str, version: &str) -> Vec<String> {
        let extension = Extension { name: name.into(), version: version.into(), database: "shop".to_owned() };
        let notes = notes(&[extension].into(), &offer());
        assert!(notes.iter().all(|note| !note.blocks()));
        notes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn extension_of_the_targets_version_has_no_note() {
        assert_eq!(texts("pg_stat_statements", "1.11"), [""; 0]);
    }

    #[test]
    fn older_extension_is_updated_if_scripts_lead_there() {
        let old = texts("pg_stat_statements", "1.8").concat();
        assert!(old.contains("1.8 in database \"shop\"") && old.contains("UPDATE"), "{old}");
        assert!(texts("pg_stat_statements", "1.7").concat().contains("no script"));
    }

    #[test]
    fn extension_that_the_image_lacks_is_named() {
        assert!(texts("adminpack", "2.1").concat().starts_with("[extension-missing]"));
    }

    #[test]
    fn image_without_an_extension_directory_is_an_error() {
        assert!(Offer::read(Path::new("/nonexistent")).is_err());
    }
}
