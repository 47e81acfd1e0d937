//! `PostgreSQL`'s programs in the image that this pod runs.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pgops_api::version::ParseVersionError;
use pgops_api::{PgVersion, layout};
use rustix::fs::Access;
use rustix::process::Signal;

use crate::reaper::{Exit, Reaper};

/// Time that a program may take that only prints something.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why the image's programs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// No directory has an executable `postgres`.
    #[error(
        "failed to find PostgreSQL {major} in this image: none of {} holds an executable \"postgres\"; \
         correct db.image of the PostgresVersion", list(.searched)
    )]
    Missing { major: u32, searched: Vec<PathBuf> },
    /// The image is of another version.
    #[error(
        "failed to use {}: it is PostgreSQL {found}, but this pod is of major version {major}; \
         correct db.image or version of the PostgresVersion", .program.display()
    )]
    WrongVersion {
        program: PathBuf,
        found: PgVersion,
        /// Major version of this pod.
        major: u32,
    },
    #[error("failed to run {} -V", .program.display())]
    Run {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to run {} -V: {exit}", .program.display())]
    Failed { program: PathBuf, exit: Exit },
    /// The output is not a version.
    #[error("failed to read the version that {} -V prints", .program.display())]
    Banner {
        program: PathBuf,
        #[source]
        source: ParseVersionError,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The directory of `PostgreSQL`'s programs.
#[derive(Clone, Debug)]
pub struct Programs {
    bindir: PathBuf,
    /// The version that `postgres -V` names.
    pub version: PgVersion,
}

impl Programs {
    /// Finds the programs of a major version in this image.
    pub async fn find(major: u32, reaper: &Reaper) -> Result<Self, ProgramsError> {
        let path = std::env::var_os("PATH");
        Self::find_in(major, layout::bindir_candidates(major, path.as_deref()), reaper).await
    }

    /// Those in the first directory that has this major version: an image may have several.
    async fn find_in(major: u32, searched: Vec<PathBuf>, reaper: &Reaper) -> Result<Self, ProgramsError> {
        let mut first_error = None;
        for bindir in searched.iter().filter(|directory| is_executable(&directory.join("postgres"))) {
            let program = bindir.join("postgres");
            let error = match read_version(&program, reaper).await {
                Ok(version) if version.major == major => {
                    return Ok(Self { bindir: bindir.clone(), version });
                }
                Ok(found) => ProgramsError::WrongVersion { program, found, major },
                Err(error) => error,
            };
            first_error.get_or_insert(error);
        }
        Err(first_error.unwrap_or(ProgramsError::Missing { major, searched }))
    }

    /// The directory of the libraries that the server loads; none if the image does not tell.
    pub async fn library_directory(&self, reaper: &Reaper) -> Option<PathBuf> {
        let mut command = self.command("pg_config");
        command.arg("--pkglibdir").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = reaper.spawn(&mut command).ok()?;
        let ended = tokio::time::timeout(TIMEOUT, process.wait()).await;
        let Ok(exit) = ended else {
            process.signal(Signal::KILL);
            return None;
        };
        // One line, which fits into the pipe.
        let mut line = String::new();
        process.stdout.take()?.read_to_string(&mut line).ok()?;
        let directory = PathBuf::from(line.trim());
        // Each server has this one.
        (exit.success() && directory.join("plpgsql.so").is_file()).then_some(directory)
    }

    /// Those in a directory, whatever they are.
    #[cfg(test)]
    pub fn in_directory(bindir: &Path, version: PgVersion) -> Self {
        Self { bindir: bindir.to_owned(), version }
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.bindir
    }

    /// The command of a program, with an empty environment.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bindir.join(name));
        command.env_clear().stdin(Stdio::null());
        command
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

async fn read_version(program: &Path, reaper: &Reaper) -> Result<PgVersion, ProgramsError> {
    let run = |source| ProgramsError::Run { program: program.to_owned(), source };
    let mut command = Command::new(program);
    command.arg("-V").env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = reaper.spawn(&mut command).map_err(run)?;
    let exit = process.wait().await;
    // One line, which fits into the pipe: the program does not wait for a reader.
    let mut banner = String::new();
    if let Some(mut output) = process.stdout.take() {
        output.read_to_string(&mut banner).map_err(run)?;
    }
    if !exit.success() {
        return Err(ProgramsError::Failed { program: program.to_owned(), exit });
    }
    PgVersion::from_banner(&banner)
        .map_err(|source| ProgramsError::Banner { program: program.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    /// A directory with a program that reports this version.
    fn directory(root: &Path, version: &str) -> PathBuf {
        let directory = root.join(version);
        std::fs::create_dir(&directory).unwrap();
        let program = directory.join("postgres");
        std::fs::write(&program, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        directory
    }

    #[tokio::test]
    async fn programs_are_those_of_the_first_directory_with_the_major_version() {
        let root = tempfile::tempdir().unwrap();
        let reaper = Reaper::start().unwrap();
        let plain = root.path().join("plain");
        std::fs::create_dir(&plain).unwrap();
        std::fs::write(plain.join("postgres"), "").unwrap();
        let [other, first, second] =
            ["16.4", "17.11", "17.12"].map(|version| directory(root.path(), version));
        let find = async |searched: &[&PathBuf]| {
            Programs::find_in(17, searched.iter().map(|&directory| directory.clone()).collect(), &reaper)
                .await
        };
        let found = find(&[&plain, &other, &first, &second]).await.unwrap();
        assert_eq!((found.bindir, found.version.to_string().as_str()), (first, "17.11"));
        let error = find(&[&plain, &other]).await.unwrap_err().to_string();
        assert!(error.contains("16.4/postgres: it is PostgreSQL 16.4, but this pod is of major"), "{error}");
        let error = find(&[&plain]).await.unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 17") && error.contains("/plain"), "{error}");
    }

    #[tokio::test]
    async fn version_is_read_from_the_program_itself() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("postgres");
        std::fs::write(&program, "#!/bin/sh\necho 'postgres (PostgreSQL) 13.16 (Debian 13.16-0+deb11u1)'\n")
            .unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let reaper = Reaper::start().unwrap();
        assert_eq!(read_version(&program, &reaper).await.unwrap().to_string(), "13.16");
        std::fs::write(&program, "#!/bin/sh\nexit 127\n").unwrap();
        let error = read_version(&program, &reaper).await.unwrap_err().to_string();
        assert!(error.contains("exit status 127"), "{error}");
    }
}
