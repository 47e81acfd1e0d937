//! The first initialisation of a database.

mod arguments;

use std::io::{self, Write};
use std::path::PathBuf;

use pgops_volume::{FileError, Interlock, Tree, Volume};

use crate::credentials::Credentials;
use crate::environment;
use crate::programs::Programs;
use crate::reaper::{Exit, Reaper};
use crate::volume;
pub use arguments::Arguments;

/// Why a database was not initialised. The volume then holds none.
#[derive(Debug, thiserror::Error)]
pub enum InitdbError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("key \"username\" of the database's auth secret cannot name a superuser: {0}")]
    Username(&'static str),
    #[error("failed to start initdb")]
    Start(#[source] io::Error),
    #[error("failed to initialise the database: initdb ended with {0}; see its output above")]
    Failed(Exit),
}

/// Initialises a database, which is then on the volume completely or not at all.
///
/// The caller holds the interlock and knows that there never was a database.
pub async fn initialise(
    volume: &Volume,
    interlock: &Interlock,
    programs: &Programs,
    arguments: &Arguments,
    credentials: &Credentials,
    run_dir: &Tree,
    reaper: &Reaper,
) -> Result<(), InitdbError> {
    check_username(&credentials.username)?;
    let major = programs.version.major;
    let target = volume::prepare_initdb_dir(volume, major)?;
    let password = PasswordFile::write(run_dir, &credentials.password)?;
    let mut command = programs.command("initdb");
    command
        .args(arguments.complete(major, &target, &credentials.username, &password.path))
        .envs(environment::initdb());
    let inherited = interlock.inheritable_fd().map_err(InitdbError::Start)?;
    let mut process = reaper.spawn(&mut command).map_err(InitdbError::Start)?;
    drop(inherited);
    let exit = process.wait().await;
    if !exit.success() {
        return Err(InitdbError::Failed(exit));
    }
    volume::publish(volume, major)?;
    volume.set_active(major)?;
    Ok(())
}

/// Longest name of a role, in bytes.
const MAX_NAME: usize = 63;

/// Names for which initdb fails. It then logs its last statement, which may have the password.
fn check_username(name: &str) -> Result<(), InitdbError> {
    let problem = if name.starts_with("pg_") {
        "names that begin with pg_ are reserved"
    } else if name.len() > MAX_NAME {
        "a name has at most 63 bytes"
    } else if name.contains(['"', '$', '\'', '\\']) {
        "it must not contain any of \"$'\\"
    } else {
        return Ok(());
    };
    Err(InitdbError::Username(problem))
}

/// A file with the password, which exists as long as this value.
struct PasswordFile {
    directory: Tree,
    path: PathBuf,
}

impl PasswordFile {
    fn write(directory: &Tree, password: &str) -> Result<Self, FileError> {
        let path = directory.root().join("initdb-password");
        let file = Self { directory: directory.clone(), path };
        let mut opened = directory.create_file(&file.path)?;
        writeln!(opened, "{password}").map_err(FileError::on("write", &file.path))?;
        Ok(file)
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        // The directory lives as long as the container: a file that cannot be removed goes with it.
        let _ = self.directory.remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superuser_has_a_name_that_initdb_accepts() {
        let (longest, too_long) = ("u".repeat(63), "u".repeat(64));
        for name in ["postgres", "Sales Team-1", &longest] {
            assert!(check_username(name).is_ok(), "{name}");
        }
        for name in ["pg_admin", "o'reilly", "a\" -c \"b", "a\\b", "a$b", &too_long] {
            assert!(check_username(name).is_err(), "{name}");
        }
    }

    #[test]
    fn password_file_is_private_and_removed_on_drop() {
        use std::fs;
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = PasswordFile::write(&Tree::at(directory.path()), "s3cret").unwrap();
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "s3cret\n");
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
