//! What an instance reads and changes on the volume of its database.

use std::io;
use std::path::PathBuf;

use pgops_volume::{FileError, Volume};

use crate::boot::VolumeState;

/// Reads what the boot decision depends on.
pub fn observe(volume: &Volume) -> Result<VolumeState, FileError> {
    let root = volume.root();
    let tree = volume.tree();
    let mut data_dirs = Vec::new();
    for path in tree.list_if_exists(root)? {
        let major = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        let Some(major) = major else { continue };
        if tree.exists(&volume.data_dir(major))? {
            data_dirs.push(major);
        }
    }
    data_dirs.sort_unstable();
    Ok(VolumeState { active: volume.active()?, data_dirs, foreign: tree.exists(&root.join("data"))? })
}

/// The directory in which initdb, or a clone, works. It never is a database, since the rename to the data directory comes last.
pub fn new_data_dir(volume: &Volume, major: u32) -> PathBuf {
    volume.data_dir(major).with_file_name("data.new")
}

/// Prepares the directory in which initdb works, and returns its path.
///
/// What a killed initdb left there is removed: it never was a database.
pub fn prepare_initdb_dir(volume: &Volume, major: u32) -> Result<PathBuf, FileError> {
    let target = new_data_dir(volume, major);
    volume.tree().remove_dir(&target)?;
    volume.tree().create_dir(&volume.major_dir(major))?;
    Ok(target)
}

/// Files of a data directory that tell that its server was one of several: Patroni's copy of its settings, which every clone has
/// too, and what makes a server a standby.
const TRACES_OF_MEMBERS: [&str; 2] = ["patroni.dynamic.json", "standby.signal"];

/// Whether the data is, or was, that of one of several servers. Without data there is nothing to be asked.
pub fn trace_of_members(volume: &Volume, major: u32) -> Result<bool, FileError> {
    let data = volume.data_dir(major);
    if !volume.tree().exists(&data)? {
        return Ok(true);
    }
    for name in TRACES_OF_MEMBERS {
        if volume.tree().exists(&data.join(name))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Turns the result of initdb into the data directory.
///
/// rename(2) replaces an empty directory, so one that appeared meanwhile is refused first.
pub fn publish(volume: &Volume, major: u32) -> Result<(), FileError> {
    let from = new_data_dir(volume, major);
    let to = volume.data_dir(major);
    if volume.tree().exists(&to)? {
        return Err(FileError::on("replace", &to)(io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    volume.tree().rename(&from, &to)?;
    volume.tree().sync_dir(&volume.major_dir(major))?;
    volume.tree().sync_dir(volume.root())
}

/// Prepares a data directory for the start of its server; only under the interlock.
///
/// A volume's first mount may have opened the directory to its group (fsGroup), which the server
/// refuses. A `postmaster.pid` is stale, since the interlock says that no server runs; its pid is
/// from another pod's pid namespace and may be any process here, which the server takes for a rival.
pub fn prepare_for_start(volume: &Volume, major: u32) -> Result<(), FileError> {
    let data_dir = volume.data_dir(major);
    volume.tree().close_to_others(&data_dir)?;
    volume.tree().remove_file(&data_dir.join("postmaster.pid"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::volume;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn new_volume_is_empty_in_spite_of_lost_found() {
        let (directory, volume) = volume();
        fs::create_dir(directory.path().join("lost+found")).unwrap();
        fs::create_dir_all(directory.path().join("13/data.new")).unwrap();
        assert_eq!(observe(&volume).unwrap(), VolumeState::default());
    }

    #[test]
    fn observation_lists_data_directories_and_the_active_version() {
        let (directory, volume) = volume();
        for major in ["17", "13"] {
            fs::create_dir_all(directory.path().join(major).join("data")).unwrap();
        }
        volume.set_active(13).unwrap();
        let expected = VolumeState { active: Some(13), data_dirs: vec![13, 17], foreign: false };
        assert_eq!(observe(&volume).unwrap(), expected);
        assert_eq!(fs::read_to_string(directory.path().join(".pgops/active")).unwrap(), "13\n");
    }

    #[test]
    fn observation_reports_a_foreign_data_directory() {
        let (directory, volume) = volume();
        std::os::unix::fs::symlink("/nowhere", directory.path().join("data")).unwrap();
        assert!(observe(&volume).unwrap().foreign);
    }

    #[test]
    fn observation_fails_if_the_active_version_is_not_a_number() {
        let (directory, volume) = volume();
        fs::write(directory.path().join(".pgops/active"), "latest\n").unwrap();
        let error = observe(&volume).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("\"latest\""), "{error}");
    }

    #[test]
    fn killed_initdb_leaves_nothing_behind() {
        let (directory, volume) = volume();
        let leftover = directory.path().join("13/data.new/base");
        fs::create_dir_all(&leftover).unwrap();
        let target = prepare_initdb_dir(&volume, 13).unwrap();
        assert!(!target.exists());
        fs::create_dir(&target).unwrap();
        publish(&volume, 13).unwrap();
        assert_eq!(observe(&volume).unwrap().data_dirs, [13]);
    }

    #[test]
    fn data_of_one_server_has_no_trace_of_others() {
        let (_directory, volume) = volume();
        let data = volume.data_dir(17);
        assert!(trace_of_members(&volume, 17).unwrap(), "a clone has all that its source has");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("PG_VERSION"), "17\n").unwrap();
        assert!(!trace_of_members(&volume, 17).unwrap());
        for name in TRACES_OF_MEMBERS {
            fs::write(data.join(name), "").unwrap();
            assert!(trace_of_members(&volume, 17).unwrap(), "{name}");
            fs::remove_file(data.join(name)).unwrap();
        }
    }

    #[test]
    fn publish_never_replaces_a_data_directory() {
        let (directory, volume) = volume();
        fs::create_dir(prepare_initdb_dir(&volume, 13).unwrap()).unwrap();
        fs::create_dir(directory.path().join("13/data")).unwrap();
        assert!(publish(&volume, 13).is_err());
    }

    #[test]
    fn prepare_for_start_closes_a_data_directory_open_to_its_group() {
        let (_directory, volume) = volume();
        let data = volume.data_dir(13);
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("postmaster.pid"), "1\n").unwrap();
        fs::write(data.join("PG_VERSION"), "13\n").unwrap();
        fs::set_permissions(&data, Permissions::from_mode(0o2770)).unwrap();
        prepare_for_start(&volume, 13).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["PG_VERSION"]);
    }
}
