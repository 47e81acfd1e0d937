//! The directory of programs, and the start of the gate.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use pgops_volume::{FileError, Tree, Volume};
use tokio::net::UnixListener;

use super::access::Access;
use super::keeper::Keeper;
use super::listener::Listener;
use super::program::Gated;
use crate::programs::Programs;
use crate::reaper::Reaper;

/// The directory of programs, in that of the container's files. Patroni has it as `bin_dir`.
pub const BIN_DIR: &str = "bin";
/// The link to the directory of the image's programs.
pub const IMAGE: &str = "image";
/// The socket of the gate.
pub const SOCKET: &str = "gate.sock";

/// Programs that Patroni runs and that do not change a data directory.
const PLAIN: [&str; 3] = ["pg_controldata", "pg_isready", "pg_waldump"];

/// Why there is no gate.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("failed to listen at {}", .path.display())]
    Listen {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to start the thread of the gate")]
    Thread(#[source] io::Error),
}

/// Writes the links and serves clients from now on. Nothing is started before PID 1 has the interlock to give.
pub fn open(
    run_dir: &Tree,
    programs: &Programs,
    volume: &Volume,
    reaper: &Reaper,
) -> Result<Access, GateError> {
    let own = std::env::current_exe().map_err(FileError::on("find", Path::new("/proc/self/exe")))?;
    write_links(run_dir.root(), programs.directory(), &own)?;
    let path = run_dir.root().join(SOCKET);
    run_dir.remove_file(&path)?;
    let listen = || UnixListener::bind(&path);
    let socket = listen().map_err(|source| GateError::Listen { path: path.clone(), source })?;
    let access = Access::new(reaper.clone());
    let keeper = Keeper {
        access: access.clone(),
        volume: volume.clone(),
        own: programs.version.major,
        server: programs.directory().join(Gated::Postgres.name()),
    };
    let decisions = keeper.start().map_err(GateError::Thread)?;
    tokio::spawn(Listener { socket, decisions, access: access.clone() }.serve());
    Ok(access)
}

/// The directory may be that of a previous container of the pod.
fn write_links(run_dir: &Path, image: &Path, own: &Path) -> Result<(), FileError> {
    let directory = run_dir.join(BIN_DIR);
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&directory)
        .map_err(FileError::on("create", &directory))?;
    link(image, &run_dir.join(IMAGE))?;
    for program in Gated::ALL {
        link(own, &directory.join(program.name()))?;
    }
    for name in PLAIN {
        // An image without the program: Patroni reports what it cannot do then.
        if image.join(name).exists() {
            link(&image.join(name), &directory.join(name))?;
        }
    }
    Ok(())
}

fn link(target: &Path, path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::on("replace", path)(error)),
        _ => symlink(target, path).map_err(FileError::on("create", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gated_programs_are_links_to_this_program_and_others_to_those_of_the_image() {
        let root = tempfile::tempdir().unwrap();
        let (run_dir, image) = (root.path().join("run"), root.path().join("image"));
        fs::create_dir_all(&image).unwrap();
        for name in ["postgres", "pg_controldata", "psql"] {
            fs::write(image.join(name), "").unwrap();
        }
        fs::create_dir(&run_dir).unwrap();
        // A container of the pod that is started again.
        for own in ["/old", "/pgops/bin/pgops-instance"] {
            write_links(&run_dir, &image, Path::new(own)).unwrap();
        }
        let target = |name: &str| fs::read_link(run_dir.join(name)).unwrap();
        assert_eq!(target("image"), image);
        for name in ["bin/postgres", "bin/pg_rewind", "bin/pg_basebackup", "bin/initdb", "bin/pg_ctl"] {
            assert_eq!(target(name), Path::new("/pgops/bin/pgops-instance"));
        }
        assert_eq!(target("bin/pg_controldata"), image.join("pg_controldata"));
        assert_eq!(fs::read_dir(run_dir.join("bin")).unwrap().count(), 6);
    }
}
