//! How a complete clone takes the place of data whose server cannot follow its primary any longer.
//!
//! No copy is removed before there is another one: the clone is complete first, the old data keeps another name, and is removed once
//! the new data streams. What the directory of the version has tells how far that is, so a kill at any moment loses nothing.
//!
//! | in the directory of the version | state |
//! |---|---|
//! | `data`, and `data.new` that may be complete | not begun: the old data still is the data |
//! | `data.old.N` and `data.new`, no `data` | between the two renames: [`resume`] makes the second |
//! | `data` and `data.old.N` | done, until the server streams |
//! | `data.removed` | old data that is being removed |

use std::path::{Path, PathBuf};

use pgops_volume::{FileError, Volume};

use crate::volume::{new_data_dir, publish};

const OLD: &str = "data.old.";
const REMOVED: &str = "data.removed";
const CONTROL_FILE: &str = "global/pg_control";

/// Whether the clone has its last file: `pg_basebackup` receives `pg_control` last. Its exit status is known to the client alone.
pub fn is_complete(volume: &Volume, major: u32) -> Result<bool, FileError> {
    let clone = new_data_dir(volume, major);
    let version = volume.tree().read_text_if_exists(&clone.join("PG_VERSION"))?;
    let is_own = version.is_some_and(|version| version.trim() == major.to_string());
    Ok(is_own && volume.tree().exists(&clone.join(CONTROL_FILE))?)
}

/// Whether two data directories are of the same database, by its system identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    Same,
    Other,
    /// The control file of one cannot be read.
    Unknown,
}

impl Identity {
    pub fn of(one: Option<u64>, other: Option<u64>) -> Self {
        match (one, other) {
            (Some(one), Some(other)) if one == other => Self::Same,
            (Some(_), Some(_)) => Self::Other,
            _ => Self::Unknown,
        }
    }
}

/// The system identifier of a data directory, unless its control file is damaged. It is the first field of that file.
pub fn system_identifier(volume: &Volume, data: &Path) -> Option<u64> {
    let content = volume.tree().read_if_exists(&data.join(CONTROL_FILE)).ok()??;
    let field = content.first_chunk()?;
    Some(u64::from_ne_bytes(*field)).filter(|identifier| *identifier != 0)
}

/// Has the clone take the place of the data, which keeps another name.
pub fn replace(volume: &Volume, major: u32) -> Result<(), FileError> {
    let number = old(volume, major)?.last().map_or(1, |(number, _)| number + 1);
    let kept = volume.data_dir(major).with_file_name(format!("{OLD}{number}"));
    volume.tree().rename(&volume.data_dir(major), &kept)?;
    volume.tree().sync_dir(&volume.major_dir(major))?;
    publish(volume, major)
}

/// What is left to be done of a replacement that was interrupted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Interrupted {
    /// The complete clone becomes the data.
    Publish,
    /// There is no complete clone: the old data becomes the data again.
    Restore(PathBuf),
}

/// Whether a replacement was interrupted.
pub fn interrupted(volume: &Volume, major: u32) -> Result<Option<Interrupted>, FileError> {
    if volume.tree().exists(&volume.data_dir(major))? {
        return Ok(None);
    }
    let Some((_, last)) = old(volume, major)?.pop() else { return Ok(None) };
    Ok(Some(if is_complete(volume, major)? { Interrupted::Publish } else { Interrupted::Restore(last) }))
}

/// Completes a replacement that was interrupted; only under the interlock.
pub fn resume(volume: &Volume, major: u32) -> Result<(), FileError> {
    match interrupted(volume, major)? {
        None => return Ok(()),
        Some(Interrupted::Publish) => publish(volume, major)?,
        Some(Interrupted::Restore(old)) => {
            volume.tree().rename(&old, &volume.data_dir(major))?;
            volume.tree().sync_dir(&volume.major_dir(major))?;
        }
    }
    tracing::info!(major, "completed the replacement of the data directory, which was interrupted");
    Ok(())
}

/// Whether there is old data, or a rest of it.
pub fn has_old(volume: &Volume, major: u32) -> Result<bool, FileError> {
    Ok(!old(volume, major)?.is_empty() || volume.tree().exists(&removed(volume, major))?)
}

/// Removes all old data; only while the server has other data that is known to be good. Each is renamed first: under its own name it
/// is complete.
pub fn remove_old(volume: &Volume, major: u32) -> Result<(), FileError> {
    let removed = removed(volume, major);
    volume.tree().remove_dir(&removed)?;
    for (_, path) in old(volume, major)? {
        volume.tree().rename(&path, &removed)?;
        volume.tree().remove_dir(&removed)?;
    }
    volume.tree().sync_dir(&volume.major_dir(major))
}

fn removed(volume: &Volume, major: u32) -> PathBuf {
    volume.data_dir(major).with_file_name(REMOVED)
}

/// The old data, with its numbers, the last one last.
fn old(volume: &Volume, major: u32) -> Result<Vec<(u32, PathBuf)>, FileError> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(OLD)?.parse::<u32>().ok();
    let paths = volume.tree().list_if_exists(&volume.major_dir(major))?;
    let mut found: Vec<(u32, PathBuf)> =
        paths.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::volume;
    use std::fs;

    /// A data directory with a control file, which says which one it is.
    fn write(volume: &Volume, name: &str, identifier: u64) {
        let directory = volume.major_dir(17).join(name);
        fs::create_dir_all(directory.join("global")).unwrap();
        fs::write(directory.join("PG_VERSION"), "17\n").unwrap();
        let content = [&identifier.to_ne_bytes()[..], b"rest"].concat();
        fs::write(directory.join(CONTROL_FILE), content).unwrap();
    }

    fn names(volume: &Volume) -> Vec<String> {
        let entries = fs::read_dir(volume.major_dir(17)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn identifier(volume: &Volume, name: &str) -> Option<u64> {
        system_identifier(volume, &volume.major_dir(17).join(name))
    }

    #[test]
    fn replaced_data_stays_under_another_name_until_it_is_removed() {
        let (_root, volume) = volume();
        write(&volume, "data", 1);
        for number in 1..=2 {
            write(&volume, "data.new", number + 1);
            replace(&volume, 17).unwrap();
            assert_eq!(identifier(&volume, "data"), Some(number + 1));
            assert_eq!(identifier(&volume, &format!("data.old.{number}")), Some(number));
        }
        assert!(has_old(&volume, 17).unwrap());
        assert_eq!(interrupted(&volume, 17).unwrap(), None);
        remove_old(&volume, 17).unwrap();
        assert_eq!(names(&volume), ["data"]);
        assert!(!has_old(&volume, 17).unwrap());
    }

    /// In every state in which a kill leaves it.
    #[test]
    fn interrupted_replacement_is_completed_and_no_copy_is_lost() {
        let (_root, volume) = volume();
        write(&volume, "data", 1);
        write(&volume, "data.new", 2);
        resume(&volume, 17).unwrap();
        assert_eq!(names(&volume), ["data", "data.new"], "before the first rename");

        let path = |name: &str| volume.major_dir(17).join(name);
        fs::rename(path("data"), path("data.old.1")).unwrap();
        assert_eq!(interrupted(&volume, 17).unwrap(), Some(Interrupted::Publish));
        resume(&volume, 17).unwrap();
        assert_eq!(names(&volume), ["data", "data.old.1"]);
        assert_eq!(identifier(&volume, "data"), Some(2));

        // A removal that was interrupted.
        fs::rename(path("data.old.1"), path(REMOVED)).unwrap();
        assert!(has_old(&volume, 17).unwrap());
        resume(&volume, 17).unwrap();
        remove_old(&volume, 17).unwrap();
        assert_eq!(names(&volume), ["data"]);
    }

    #[test]
    fn old_data_is_the_data_again_if_there_is_no_complete_clone() {
        let (_root, volume) = volume();
        for number in [9, 10] {
            write(&volume, &format!("data.old.{number}"), number);
        }
        write(&volume, "data.new", 3);
        fs::remove_file(volume.major_dir(17).join("data.new/global/pg_control")).unwrap();
        resume(&volume, 17).unwrap();
        assert_eq!(names(&volume), ["data", "data.new", "data.old.9"]);
        assert_eq!(identifier(&volume, "data"), Some(10));
    }

    #[test]
    fn volume_without_old_data_was_not_interrupted() {
        let (_root, volume) = volume();
        assert_eq!(interrupted(&volume, 17).unwrap(), None);
        write(&volume, "data.new", 1);
        fs::create_dir(volume.major_dir(17).join("data.old.backup")).unwrap();
        assert_eq!(interrupted(&volume, 17).unwrap(), None, "an operator's");
        assert!(!has_old(&volume, 17).unwrap());
    }

    #[test]
    fn identity_of_damaged_data_is_unknown() {
        let (_root, volume) = volume();
        write(&volume, "data", 7);
        assert_eq!(Identity::of(identifier(&volume, "data"), Some(7)), Identity::Same);
        assert_eq!(Identity::of(identifier(&volume, "data"), Some(8)), Identity::Other);
        for content in [&b""[..], b"short", &[0; 64]] {
            fs::write(volume.data_dir(17).join(CONTROL_FILE), content).unwrap();
            assert_eq!(Identity::of(identifier(&volume, "data"), Some(7)), Identity::Unknown);
        }
        assert_eq!(identifier(&volume, "missing"), None);
    }

    #[test]
    fn clone_is_complete_with_the_control_file_of_its_version() {
        let (_root, volume) = volume();
        assert!(!is_complete(&volume, 17).unwrap());
        write(&volume, "data.new", 1);
        assert!(is_complete(&volume, 17).unwrap());
        let file = |name: &str| volume.major_dir(17).join("data.new").join(name);
        fs::write(file("PG_VERSION"), "16\n").unwrap();
        assert!(!is_complete(&volume, 17).unwrap());
        fs::write(file("PG_VERSION"), "17\n").unwrap();
        fs::remove_file(file(CONTROL_FILE)).unwrap();
        assert!(!is_complete(&volume, 17).unwrap());
    }
}
