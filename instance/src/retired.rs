//! Data that an upgrade has replaced: the server that took its place removes it when its time has come.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use pgops_api::layout;

use crate::volume::{FileError, Volume, sync_directory};

/// Pause between two looks.
const LOOK: Duration = Duration::from_secs(10);
/// Pause after a failure: what hinders it is not mended within seconds, and each try is a line in the log.
const LOOK_AFTER_FAILURE: Duration = Duration::from_mins(10);

/// Data of a major version that another one has replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retired {
    /// Its major version.
    pub major: u32,
    /// When it may go.
    pub until: Timestamp,
}

impl Retired {
    /// Whether it goes now, under a server of the major version `own`. What is not older never does: its server
    /// took nobody's place.
    fn is_due(self, own: u32, now: Timestamp) -> bool {
        self.major < own && self.until <= now
    }
}

/// Watches, for as long as this process lives, for data whose time has come, while version `own` serves.
///
/// A thread of its own: a removal that takes minutes must not keep the process from ending.
pub fn watch(volume: Volume, own: u32) {
    let watching = thread::Builder::new().name("retired".to_owned()).spawn(move || {
        loop {
            let pause = match sweep(&volume, own, Timestamp::now()) {
                Ok(removed) => {
                    for major in removed {
                        tracing::info!(major, "removed the data that the upgrade has replaced");
                    }
                    LOOK
                }
                Err(error) => {
                    tracing::warn!("{}; tried again later", pgops_api::display_chain(&error));
                    LOOK_AFTER_FAILURE
                }
            };
            thread::sleep(pause);
        }
    });
    // The database serves all the same; the next start tries again.
    if let Err(error) = watching {
        tracing::warn!("failed to start the thread that removes replaced data: {error}");
    }
}

/// Removes what is due; the major versions of what went.
fn sweep(volume: &Volume, own: u32, now: Timestamp) -> Result<Vec<u32>, FileError> {
    let mut removed = Vec::new();
    for retired in volume.retired()? {
        if retired.is_due(own, now) {
            volume.remove_retired(retired.major, own)?;
            removed.push(retired.major);
        }
    }
    Ok(removed)
}

impl Volume {
    /// What upgrades have replaced and nobody has removed yet.
    fn retired(&self) -> Result<Vec<Retired>, FileError> {
        let directory = self.place(layout::RETIRED_DIR);
        let names = names(&directory)?;
        let majors = names.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok().zip(Some(path)));
        let read = |(major, path): (u32, &PathBuf)| {
            let text = fs::read_to_string(path).map_err(FileError::on("read", path))?;
            let until = text
                .trim()
                .parse()
                .map_err(|error| FileError::on("read the time in", path)(invalid(error)))?;
            Ok(Retired { major, until })
        };
        majors.map(read).collect()
    }

    /// Takes back that the data of a version was replaced: it serves, or is gone.
    pub fn unretire(&self, major: u32) -> Result<(), FileError> {
        let file = self.retired_file(major);
        gone(fs::remove_file(&file)).map_err(FileError::on("remove", &file))
    }

    /// Removes the data directory of a major version and what is its in tablespaces, and nothing that people have
    /// put beside it. A directory under its old name is always whole: it is renamed first.
    fn remove_retired(&self, major: u32, own: u32) -> Result<(), FileError> {
        let data = self.data(major);
        let going = data.with_file_name("data.going");
        let home = self.place(&format!("{}/{major}", layout::VOLUME_ROOT));
        for tablespace in tablespaces(&self.data(own))? {
            if tablespace.starts_with(&home) {
                let text = format!("the tablespace {} of version {own} lies within it", tablespace.display());
                return Err(FileError::on("remove", &home)(io::Error::other(text)));
            }
        }
        gone(fs::rename(&data, &going)).map_err(FileError::on("put aside", &data))?;
        for tablespace in tablespaces(&going)? {
            for directory in names(&tablespace)? {
                let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.starts_with(&format!("PG_{major}_")) {
                    gone(fs::remove_dir_all(&directory)).map_err(FileError::on("remove", &directory))?;
                }
            }
        }
        gone(fs::remove_dir_all(&going)).map_err(FileError::on("remove", &going))?;
        match fs::remove_dir(&home) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            result => gone(result).map_err(FileError::on("remove", &home))?,
        }
        sync_directory(&self.place(layout::VOLUME_ROOT))?;
        self.unretire(major)
    }

    fn retired_file(&self, major: u32) -> PathBuf {
        self.place(layout::RETIRED_DIR).join(major.to_string())
    }
}

/// Where the tablespaces of a data directory are.
fn tablespaces(data: &Path) -> Result<Vec<PathBuf>, FileError> {
    let links = names(&data.join("pg_tblspc"))?;
    links.iter().map(|link| fs::read_link(link).map_err(FileError::on("read the link", link))).collect()
}

/// What is in a directory; nothing if there is none.
fn names(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::on("list", directory))?,
    };
    entries.map(|entry| Ok(entry.map_err(FileError::on("list", directory))?.path())).collect()
}

/// What is gone need not be removed.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn invalid(error: jiff::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const NOW: &str = "2026-11-26T02:00:00Z";

    struct World {
        root: tempfile::TempDir,
        volume: Volume,
    }

    impl World {
        /// Version 17 serves; 13 was replaced and is kept until then.
        fn new(until: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            let volume = Volume::at(root.path());
            for place in ["13/data/pg_tblspc", "17/data/pg_tblspc", ".pgops/retired"] {
                fs::create_dir_all(root.path().join(place)).unwrap();
            }
            fs::write(root.path().join("13/data/PG_VERSION"), "13\n").unwrap();
            fs::write(root.path().join(".pgops/retired/13"), format!("{until}\n")).unwrap();
            Self { root, volume }
        }

        fn has(&self, place: &str) -> bool {
            self.root.path().join(place).exists()
        }

        fn sweep(&self, own: u32) -> Result<Vec<u32>, FileError> {
            sweep(&self.volume, own, NOW.parse().unwrap())
        }

        fn tablespace(&self, major: u32, place: &str) -> PathBuf {
            let place = self.root.path().join(place);
            fs::create_dir_all(&place).unwrap();
            symlink(&place, self.root.path().join(format!("{major}/data/pg_tblspc/16400"))).unwrap();
            place
        }
    }

    #[test]
    fn old_data_goes_when_its_time_has_come_and_not_before() {
        let world = World::new("2026-11-26T02:00:01Z");
        assert!(world.sweep(17).unwrap().is_empty());
        assert!(world.has("13/data/PG_VERSION"));
        let world = World::new(NOW);
        assert_eq!(world.sweep(17).unwrap(), [13]);
        assert!(!world.has("13") && world.has("17/data") && !world.has(".pgops/retired/13"));
        assert!(world.sweep(17).unwrap().is_empty());
    }

    #[test]
    fn the_data_that_serves_and_newer_data_never_go() {
        for own in [12, 13] {
            let world = World::new(NOW);
            assert!(world.sweep(own).unwrap().is_empty());
            assert!(world.has("13/data/PG_VERSION"), "under {own}");
        }
    }

    #[test]
    fn data_that_serves_again_is_no_longer_to_go() {
        let world = World::new(NOW);
        world.volume.unretire(13).unwrap();
        world.volume.unretire(13).unwrap();
        assert!(world.sweep(17).unwrap().is_empty());
        assert!(world.has("13/data/PG_VERSION"));
    }

    #[test]
    fn a_removal_that_was_cut_short_is_brought_to_its_end() {
        let world = World::new(NOW);
        let tablespace = world.tablespace(13, "fast");
        fs::create_dir(tablespace.join("PG_13_202007201")).unwrap();
        let (data, going) = (world.root.path().join("13/data"), world.root.path().join("13/data.going"));
        fs::rename(data, going).unwrap();
        assert_eq!(world.sweep(17).unwrap(), [13]);
        assert!(!world.has("13") && !world.has("fast/PG_13_202007201"));
    }

    #[test]
    fn of_a_tablespace_only_what_is_of_the_old_version_goes() {
        let world = World::new(NOW);
        let tablespace = world.tablespace(13, "fast");
        for name in ["PG_13_202007201", "PG_17_202406281", "of-a-person"] {
            fs::create_dir(tablespace.join(name)).unwrap();
        }
        assert_eq!(world.sweep(17).unwrap(), [13]);
        assert!(!world.has("fast/PG_13_202007201"));
        assert!(world.has("fast/PG_17_202406281") && world.has("fast/of-a-person"));
    }

    #[test]
    fn data_with_a_tablespace_of_the_server_within_stays() {
        let world = World::new(NOW);
        world.tablespace(17, "13/fast");
        let error = pgops_api::display_chain(&world.sweep(17).unwrap_err());
        assert!(error.contains("13/fast of version 17 lies within it"), "{error}");
        assert!(world.has("13/data/PG_VERSION"));
    }

    #[test]
    fn what_people_have_put_beside_it_stays() {
        let world = World::new(NOW);
        fs::write(world.root.path().join("13/backup"), "precious").unwrap();
        assert_eq!(world.sweep(17).unwrap(), [13]);
        assert!(world.has("13/backup") && !world.has("13/data"));
    }

    #[test]
    fn a_time_that_cannot_be_read_removes_nothing() {
        let world = World::new("soon");
        assert!(world.sweep(17).is_err());
        assert!(world.has("13/data/PG_VERSION"));
    }
}
