//! The files of a data directory with settings. They can name code that the server loads, and `pg_upgrade` runs code of users
//! that may write them: so they are remembered beforehand.

use std::collections::BTreeMap;
use std::path::Path;

use pgops_volume::{FileError, Tree};
use serde::{Deserialize, Serialize};

use super::work_dir::WorkDir;

/// The settings of `ALTER SYSTEM`.
const AUTO: &str = "postgresql.auto.conf";
/// The others that a server of pgops reads. Its `hba_file` is not in the data directory.
const OTHERS: [&str; 2] = ["postgresql.conf", "pg_ident.conf"];
/// The copy of those of the old data, in the work directory.
const COPY: &str = "settings.json";

/// What the files hold, by name. `None` is a file that does not exist.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SettingsFiles(BTreeMap<String, Option<Vec<u8>>>);

impl SettingsFiles {
    /// Reads those of a data directory.
    pub fn read(tree: &Tree, pgdata: &Path) -> Result<Self, FileError> {
        let mut files = BTreeMap::from([(AUTO.to_owned(), tree.read_if_exists(&pgdata.join(AUTO))?)]);
        for name in OTHERS {
            match tree.read_if_exists(&pgdata.join(name)) {
                Ok(content) => files.insert(name.to_owned(), content),
                // A link that users have made: it stays.
                Err(error) if error.is_refusal() => None,
                Err(error) => return Err(error),
            };
        }
        Ok(Self(files))
    }

    /// Makes the files of a data directory hold this again.
    pub fn restore(&self, tree: &Tree, pgdata: &Path) -> Result<(), FileError> {
        for (name, content) in &self.0 {
            let path = pgdata.join(name);
            match content {
                Some(content) if tree.read_if_exists(&path).ok().flatten().as_ref() == Some(content) => {}
                Some(content) => tree.replace(&path, content)?,
                None => tree.remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// Writes the settings of `ALTER SYSTEM` to another data directory.
    pub fn carry(&self, tree: &Tree, pgdata: &Path) -> Result<(), FileError> {
        let settings = self.0.get(AUTO).and_then(Option::as_ref);
        settings.map_or(Ok(()), |settings| tree.replace(&pgdata.join(AUTO), settings))
    }

    /// Reads those of the old data, and copies them to the work directory, unless the copy is the same.
    pub fn copy(work_dir: &WorkDir, pgdata: &Path) -> Result<Self, FileError> {
        let files = Self::read(work_dir.tree(), pgdata)?;
        if Self::kept(work_dir).ok().flatten().as_ref() != Some(&files) {
            let path = work_dir.path().join(COPY);
            let json = serde_json::to_vec(&files).map_err(FileError::on("write", &path))?;
            work_dir.tree().replace(&path, &json)?;
        }
        Ok(files)
    }

    /// The copy, if there is one.
    pub fn kept(work_dir: &WorkDir) -> Result<Option<Self>, FileError> {
        let path = work_dir.path().join(COPY);
        let Some(json) = work_dir.tree().read_if_exists(&path)? else { return Ok(None) };
        serde_json::from_slice(&json).map(Some).map_err(FileError::on("parse", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_volume::Volume;
    use std::fs;
    use std::path::PathBuf;

    const SETTINGS: &str = "work_mem = '64MB'\n";
    const HOSTILE: &str = "session_preload_libraries = '/var/pv/x.so'\n";

    struct Test {
        _root: tempfile::TempDir,
        volume: Volume,
        work_dir: WorkDir,
    }

    impl Test {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let volume = Volume::at(root.path());
            let work_dir = WorkDir::new(&volume, "3f9c21aa");
            work_dir.create().unwrap();
            for major in [13, 17] {
                fs::create_dir_all(volume.data_dir(major)).unwrap();
                fs::write(volume.data_dir(major).join("postgresql.conf"), "# of initdb\n").unwrap();
            }
            fs::write(volume.data_dir(13).join(AUTO), SETTINGS).unwrap();
            fs::write(volume.data_dir(17).join(AUTO), "").unwrap();
            Self { _root: root, volume, work_dir }
        }

        fn file(&self, major: u32, name: &str) -> PathBuf {
            self.volume.data_dir(major).join(name)
        }

        fn text(&self, major: u32, name: &str) -> Option<String> {
            fs::read_to_string(self.file(major, name)).ok()
        }
    }

    #[test]
    fn settings_of_alter_system_are_carried_over() {
        let test = Test::new();
        let (tree, new) = (test.volume.tree(), test.volume.data_dir(17));
        SettingsFiles::default().carry(tree, &new).unwrap();
        assert_eq!(test.text(17, AUTO).as_deref(), Some(""));
        SettingsFiles::copy(&test.work_dir, &test.volume.data_dir(13)).unwrap().carry(tree, &new).unwrap();
        assert_eq!(test.text(17, AUTO).as_deref(), Some(SETTINGS));
    }

    #[test]
    fn settings_that_code_has_written_meanwhile_are_not_carried_over() {
        let test = Test::new();
        let (tree, old, new) = (test.volume.tree(), test.volume.data_dir(13), test.volume.data_dir(17));
        let copied = SettingsFiles::copy(&test.work_dir, &old).unwrap();
        fs::write(test.file(13, AUTO), HOSTILE).unwrap();
        // As another runner does it, whose predecessor was stopped.
        let kept = SettingsFiles::kept(&test.work_dir).unwrap().unwrap();
        assert_eq!(kept, copied);
        kept.carry(tree, &new).unwrap();
        assert_eq!(test.text(17, AUTO).as_deref(), Some(SETTINGS));
        kept.restore(tree, &old).unwrap();
        assert_eq!(test.text(13, AUTO).as_deref(), Some(SETTINGS));
    }

    #[test]
    fn files_are_restored_and_those_that_appeared_are_removed() {
        let test = Test::new();
        let (tree, new) = (test.volume.tree(), test.volume.data_dir(17));
        let files = SettingsFiles::read(tree, &new).unwrap();
        for name in ["postgresql.conf", "pg_ident.conf"] {
            fs::write(test.file(17, name), HOSTILE).unwrap();
        }
        files.restore(tree, &new).unwrap();
        assert_eq!(test.text(17, "postgresql.conf").as_deref(), Some("# of initdb\n"));
        assert_eq!(test.text(17, "pg_ident.conf"), None);
        // A link in place of a file is replaced too.
        fs::remove_file(test.file(17, "postgresql.conf")).unwrap();
        std::os::unix::fs::symlink("/tmp/x", test.file(17, "postgresql.conf")).unwrap();
        files.restore(tree, &new).unwrap();
        assert_eq!(test.text(17, "postgresql.conf").as_deref(), Some("# of initdb\n"));
    }

    #[test]
    fn link_that_users_have_made_stays() {
        let test = Test::new();
        let (tree, old) = (test.volume.tree(), test.volume.data_dir(13));
        fs::remove_file(test.file(13, "postgresql.conf")).unwrap();
        std::os::unix::fs::symlink("/etc/postgresql.conf", test.file(13, "postgresql.conf")).unwrap();
        SettingsFiles::read(tree, &old).unwrap().restore(tree, &old).unwrap();
        assert!(test.file(13, "postgresql.conf").is_symlink());
    }

    #[test]
    fn copy_is_of_the_last_settings() {
        let test = Test::new();
        let old = test.volume.data_dir(13);
        SettingsFiles::copy(&test.work_dir, &old).unwrap();
        fs::write(test.file(13, AUTO), "work_mem = '1GB'\n").unwrap();
        let last = SettingsFiles::copy(&test.work_dir, &old).unwrap();
        assert_eq!(SettingsFiles::kept(&test.work_dir).unwrap(), Some(last));
    }
}
