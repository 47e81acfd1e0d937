//! The data directories: removing the new one, what would be deleted with one, and the control file of the old one.

use std::path::PathBuf;

use pgops_volume::{FileError, Volume};

use super::work_dir::{Marker, WorkDir};

/// Removes the data directory of the new version, if this upgrade has created it and it is not active.
pub fn remove_new(volume: &Volume, work_dir: &WorkDir, major: u32) -> Result<(), FileError> {
    if !work_dir.has(Marker::NewDataOwned) || volume.active()? == Some(major) {
        return Ok(());
    }
    work_dir.unmark(Marker::Upgraded)?;
    work_dir.unmark(Marker::Fresh)?;
    // What users have put next to the data directory is kept.
    volume.tree().remove_dir(&volume.data_dir(major))?;
    volume.remove_empty_major_dir(major)?;
    work_dir.unmark(Marker::NewDataOwned)
}

/// Tablespaces of a major version that are inside a data directory, and would be deleted with it.
pub fn tablespaces_within(volume: &Volume, major: u32) -> Result<Vec<PathBuf>, FileError> {
    let within = |path: &PathBuf| {
        let first = path.strip_prefix(volume.root()).ok().and_then(|path| path.components().next());
        first.is_some_and(|name| name.as_os_str().to_string_lossy().parse::<u32>().is_ok())
    };
    Ok(volume.tablespaces(&volume.data_dir(major))?.into_iter().filter(within).collect())
}

/// Restores the control file of the old data, which `pg_upgrade --link` renames.
pub fn restore_control_file(volume: &Volume, old_major: u32) -> Result<(), FileError> {
    let global = volume.data_dir(old_major).join("global");
    let aside = global.join("pg_control.old");
    let control = global.join("pg_control");
    let tree = volume.tree();
    if tree.exists(&aside)? && !tree.exists(&control)? {
        tree.rename(&aside, &control)?;
        tree.sync_dir(&global)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn volume() -> (tempfile::TempDir, Volume, WorkDir) {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::at(root.path());
        let work_dir = WorkDir::new(&volume, "3f9c21aa");
        work_dir.create().unwrap();
        (root, volume, work_dir)
    }

    fn make(volume: &Volume, major: u32, file: &str) -> PathBuf {
        let path = volume.data_dir(major).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        path
    }

    #[test]
    fn new_directory_is_kept_if_it_is_not_ours() {
        let (_root, volume, work_dir) = volume();
        let file = make(&volume, 17, "PG_VERSION");
        remove_new(&volume, &work_dir, 17).unwrap();
        assert!(file.exists());
    }

    #[test]
    fn new_directory_is_kept_if_it_is_active() {
        let (_root, volume, work_dir) = volume();
        let file = make(&volume, 17, "PG_VERSION");
        work_dir.mark(Marker::NewDataOwned).unwrap();
        volume.set_active(17).unwrap();
        remove_new(&volume, &work_dir, 17).unwrap();
        assert!(file.exists());
    }

    #[test]
    fn new_data_directory_is_removed_with_its_markers() {
        let (_root, volume, work_dir) = volume();
        make(&volume, 17, "PG_VERSION");
        for marker in [Marker::NewDataOwned, Marker::Fresh, Marker::Upgraded] {
            work_dir.mark(marker).unwrap();
        }
        remove_new(&volume, &work_dir, 17).unwrap();
        assert!(!volume.major_dir(17).exists());
        for marker in [Marker::NewDataOwned, Marker::Fresh, Marker::Upgraded] {
            assert!(!work_dir.has(marker), "{marker:?}");
        }
    }

    #[test]
    fn files_next_to_a_data_directory_are_kept() {
        let (_root, volume, work_dir) = volume();
        make(&volume, 17, "PG_VERSION");
        let backup = volume.major_dir(17).join("data.bak");
        fs::write(&backup, "precious").unwrap();
        work_dir.mark(Marker::NewDataOwned).unwrap();
        remove_new(&volume, &work_dir, 17).unwrap();
        assert!(backup.exists() && !volume.data_dir(17).exists());
    }

    #[test]
    fn tablespace_within_a_data_directory_is_found() {
        let (root, volume, _) = volume();
        make(&volume, 13, "PG_VERSION");
        let links = volume.data_dir(13).join("pg_tblspc");
        fs::create_dir_all(&links).unwrap();
        for (oid, place) in [("16400", "13/fast"), ("16401", "tablespaces/slow")] {
            let place = root.path().join(place);
            fs::create_dir_all(&place).unwrap();
            std::os::unix::fs::symlink(&place, links.join(oid)).unwrap();
        }
        let within = tablespaces_within(&volume, 13).unwrap();
        assert_eq!(within.len(), 1);
        assert!(within[0].ends_with("13/fast"));
    }

    #[test]
    fn tablespace_in_place_is_within_a_data_directory() {
        let (_root, volume, _) = volume();
        let in_place = volume.data_dir(17).join("pg_tblspc/16400");
        fs::create_dir_all(&in_place).unwrap();
        assert_eq!(tablespaces_within(&volume, 17).unwrap(), [in_place]);
    }

    #[test]
    fn control_file_is_restored_once() {
        let (_root, volume, _) = volume();
        let aside = make(&volume, 13, "global/pg_control.old");
        restore_control_file(&volume, 13).unwrap();
        let control = volume.data_dir(13).join("global/pg_control");
        assert!(control.exists() && !aside.exists());
        restore_control_file(&volume, 13).unwrap();
        assert!(control.exists());
    }

    #[test]
    fn control_file_in_use_is_never_replaced() {
        let (_root, volume, _) = volume();
        make(&volume, 13, "global/pg_control.old");
        let control = make(&volume, 13, "global/pg_control");
        fs::write(&control, "current").unwrap();
        restore_control_file(&volume, 13).unwrap();
        assert_eq!(fs::read_to_string(control).unwrap(), "current");
    }
}
