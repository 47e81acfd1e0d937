//! The volume of a database: what is there, and the few durable changes that an instance makes.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pgops_api::layout;

use crate::boot::VolumeState;

/// An operation on a file that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {}", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl FileError {
    /// Makes the error of an action on a path, for `map_err`.
    pub fn on<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source: source.into() }
    }
}

/// A mounted volume.
#[derive(Clone, Debug)]
pub struct Volume {
    root: PathBuf,
}

impl Volume {
    /// The volume that is mounted at `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A path of [`layout`], on this volume.
    pub(crate) fn place(&self, absolute: &str) -> PathBuf {
        let relative = absolute.strip_prefix(layout::VOLUME_ROOT).unwrap_or(absolute);
        self.root.join(relative.trim_start_matches('/'))
    }

    /// The file that is locked while a server may touch the data.
    pub fn interlock(&self) -> PathBuf {
        self.place(layout::INTERLOCK_FILE)
    }

    /// The data directory of a major version.
    pub fn data(&self, major: u32) -> PathBuf {
        self.place(&layout::pgdata(major))
    }

    /// Where initdb works: never a database, since the rename to [`Self::data`] comes last.
    fn unfinished(&self, major: u32) -> PathBuf {
        self.data(major).with_file_name("data.new")
    }

    /// Makes the directory for what is ours.
    pub fn prepare(&self) -> Result<(), FileError> {
        make_directory(&self.place(layout::STATE_DIR))
    }

    /// Looks at the volume.
    pub fn observe(&self) -> Result<VolumeState, FileError> {
        let mut data_dirs = Vec::new();
        let entries = fs::read_dir(&self.root).map_err(FileError::on("list", &self.root))?;
        for entry in entries {
            let entry = entry.map_err(FileError::on("list", &self.root))?;
            let Some(major) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if exists(&self.data(major))? {
                data_dirs.push(major);
            }
        }
        data_dirs.sort_unstable();
        Ok(VolumeState { active: self.active()?, data_dirs, foreign: exists(&self.root.join("data"))? })
    }

    fn active(&self) -> Result<Option<u32>, FileError> {
        let path = self.place(layout::ACTIVE_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::on("read", &path)(error)),
        };
        let invalid = |_| {
            let text = format!("{:?} is no major version of PostgreSQL", text.trim_end());
            FileError::on("read", &path)(io::Error::new(io::ErrorKind::InvalidData, text))
        };
        text.trim_end().parse().map(Some).map_err(invalid)
    }

    /// Writes down who serves: it is there durably, or as it was.
    pub fn activate(&self, major: u32) -> Result<(), FileError> {
        let path = self.place(layout::ACTIVE_FILE);
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary).map_err(FileError::on("create", &temporary))?;
        writeln!(file, "{major}").map_err(FileError::on("write", &temporary))?;
        file.sync_all().map_err(FileError::on("sync", &temporary))?;
        fs::rename(&temporary, &path).map_err(FileError::on("rename a new file to", &path))?;
        sync_directory(&self.place(layout::STATE_DIR))
    }

    /// Makes room for initdb and says where it shall work.
    ///
    /// What an initdb that was killed left behind is removed: it never was a database.
    pub fn make_room(&self, major: u32) -> Result<PathBuf, FileError> {
        let target = self.unfinished(major);
        if exists(&target)? {
            fs::remove_dir_all(&target).map_err(FileError::on("remove the unfinished", &target))?;
        }
        make_directory(&self.root.join(major.to_string()))?;
        Ok(target)
    }

    /// Turns what initdb made into the data directory.
    ///
    /// rename(2) replaces an empty directory, so one that appeared meanwhile is refused first.
    pub fn publish(&self, major: u32) -> Result<(), FileError> {
        let (from, to) = (self.unfinished(major), self.data(major));
        if exists(&to)? {
            return Err(FileError::on("replace", &to)(io::Error::from(io::ErrorKind::AlreadyExists)));
        }
        fs::rename(&from, &to).map_err(FileError::on("rename the new data directory to", &to))?;
        sync_directory(&self.root.join(major.to_string()))?;
        sync_directory(&self.root)
    }

    /// Readies a data directory for a server; only under the interlock.
    ///
    /// A volume's first mount may have opened the directory to its group (fsGroup), which the server
    /// refuses. A `postmaster.pid` is stale, since the interlock says that no server runs; its pid
    /// comes from another pod's numbering and may be anyone's here, which the server takes for a rival.
    pub fn ready(&self, major: u32) -> Result<(), FileError> {
        let data = self.data(major);
        let mode = fs::metadata(&data).map_err(FileError::on("look at", &data))?.permissions().mode();
        if mode & 0o027 != 0 {
            fs::set_permissions(&data, Permissions::from_mode(0o700))
                .map_err(FileError::on("set the mode of", &data))?;
        }
        let stale = data.join("postmaster.pid");
        match fs::remove_file(&stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileError::on("remove", &stale)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Makes a directory that only its owner may enter, unless it is there.
pub fn make_directory(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(FileError::on("create", path))
}

/// Like `Path::try_exists`, but a dangling link counts as there: nothing may be put in its place.
fn exists(path: &Path) -> Result<bool, FileError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(FileError::on("look at", path)(error)),
    }
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(FileError::on("sync", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> (tempfile::TempDir, Volume) {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::at(directory.path());
        volume.prepare().unwrap();
        (directory, volume)
    }

    #[test]
    fn a_new_volume_is_empty_whatever_the_file_system_put_there() {
        let (directory, volume) = volume();
        fs::create_dir(directory.path().join("lost+found")).unwrap();
        fs::create_dir_all(directory.path().join("13/data.new")).unwrap();
        assert_eq!(volume.observe().unwrap(), VolumeState::default());
    }

    #[test]
    fn sees_each_data_directory_and_who_serves() {
        let (directory, volume) = volume();
        for major in ["17", "13"] {
            fs::create_dir_all(directory.path().join(major).join("data")).unwrap();
        }
        volume.activate(13).unwrap();
        let expected = VolumeState { active: Some(13), data_dirs: vec![13, 17], foreign: false };
        assert_eq!(volume.observe().unwrap(), expected);
        assert_eq!(fs::read_to_string(directory.path().join(".pgops/active")).unwrap(), "13\n");
    }

    #[test]
    fn sees_a_data_directory_that_is_not_ours() {
        let (directory, volume) = volume();
        std::os::unix::fs::symlink("/nowhere", directory.path().join("data")).unwrap();
        assert!(volume.observe().unwrap().foreign);
    }

    #[test]
    fn refuses_an_active_that_is_no_version_and_quotes_it() {
        let (directory, volume) = volume();
        fs::write(directory.path().join(".pgops/active"), "latest\n").unwrap();
        let error = volume.observe().unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("\"latest\""), "{error}");
    }

    #[test]
    fn an_initdb_that_was_killed_leaves_nothing_behind() {
        let (directory, volume) = volume();
        let leftover = directory.path().join("13/data.new/base");
        fs::create_dir_all(&leftover).unwrap();
        let target = volume.make_room(13).unwrap();
        assert!(!target.exists());
        fs::create_dir(&target).unwrap();
        volume.publish(13).unwrap();
        assert_eq!(volume.observe().unwrap().data_dirs, [13]);
    }

    #[test]
    fn never_replaces_a_data_directory() {
        let (directory, volume) = volume();
        fs::create_dir(volume.make_room(13).unwrap()).unwrap();
        fs::create_dir(directory.path().join("13/data")).unwrap();
        assert!(volume.publish(13).is_err());
    }

    #[test]
    fn readies_a_directory_that_the_volume_opened_to_its_group() {
        let (_directory, volume) = volume();
        let data = volume.data(13);
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("postmaster.pid"), "1\n").unwrap();
        fs::write(data.join("PG_VERSION"), "13\n").unwrap();
        fs::set_permissions(&data, Permissions::from_mode(0o2770)).unwrap();
        volume.ready(13).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["PG_VERSION"]);
    }
}
