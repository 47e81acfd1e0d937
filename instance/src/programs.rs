//! `PostgreSQL`'s programs in the image that this pod runs, and the environment they get.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgops_api::version::ParseVersionError;
use pgops_api::{PgVersion, layout};
use rustix::fs::Access;

use crate::reaper::{Exit, Reaper};

/// Why the image's programs are of no use.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// No directory has an executable `postgres`.
    #[error(
        "failed to find PostgreSQL {major} in this image: none of {} holds an executable \"postgres\"; \
         correct db.image of the PostgresVersion", list(.searched)
    )]
    Missing {
        /// The version looked for.
        major: u32,
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// The image is of another version.
    #[error(
        "failed to use {}: it is PostgreSQL {found}, and this pod is of major version {major}; \
         correct db.image or version of the PostgresVersion", .program.display()
    )]
    Other {
        /// The program asked.
        program: PathBuf,
        /// What it said.
        found: PgVersion,
        /// What this pod needs.
        major: u32,
    },
    /// The program does not run.
    #[error("failed to run {} -V", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The program failed.
    #[error("failed to run {} -V: {exit}", .program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        exit: Exit,
    },
    /// The program says something else than a version.
    #[error("failed to read the version that {} -V prints", .program.display())]
    Banner {
        /// The program.
        program: PathBuf,
        /// What it said.
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
    /// Finds the programs of a major version, and asks them whether they are.
    pub async fn find(major: u32, reaper: &Reaper) -> Result<Self, ProgramsError> {
        let bindir = locate(major, layout::bindir_candidates(major))?;
        let program = bindir.join("postgres");
        let version = ask_version(&program, reaper).await?;
        if version.major == major {
            Ok(Self { bindir, version })
        } else {
            Err(ProgramsError::Other { program, found: version, major })
        }
    }

    /// A program, to be started with an environment of its own.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bindir.join(name));
        command.env_clear().stdin(Stdio::null());
        command
    }
}

/// The first directory that holds an executable `postgres`.
fn locate(major: u32, searched: Vec<PathBuf>) -> Result<PathBuf, ProgramsError> {
    let found = searched.iter().find(|directory| is_executable(&directory.join("postgres"))).cloned();
    found.ok_or(ProgramsError::Missing { major, searched })
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

async fn ask_version(program: &Path, reaper: &Reaper) -> Result<PgVersion, ProgramsError> {
    let run = |source| ProgramsError::Run { program: program.to_owned(), source };
    let mut command = Command::new(program);
    command.arg("-V").env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = reaper.spawn(&mut command).map_err(run)?;
    let exit = process.wait().await;
    // One line, which the pipe holds: nothing waits for us to read it.
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

/// The environment of the server: the container's, so that an `archive_command` finds what the user
/// set for it, without what would change the server behind our back (`PGPORT`, `PGDATA`, libpq's
/// own), and without what concerns this program alone.
///
/// A locale stands in every case: a server without one writes its messages in no encoding at all.
pub fn server_environment(
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let ours = ["PG", "POSTGRES", "KUBERNETES_"];
    let keep = |name: &OsString| {
        let name = name.to_string_lossy();
        !ours.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut kept: Vec<_> = inherited.into_iter().filter(|(name, _)| keep(name)).collect();
    for (name, value) in [("LANG", INITDB_LANG), ("PATH", PATH)] {
        if !kept.iter().any(|(kept, _)| kept == name) {
            kept.push((name.into(), value.into()));
        }
    }
    kept
}

/// The environment of initdb: the same in every image, so that a database's locale and encoding
/// never depend on what an image sets.
pub fn initdb_environment() -> [(&'static str, &'static str); 2] {
    [("LANG", INITDB_LANG), ("PATH", PATH)]
}

/// UTF-8, with an order that no operating system changes.
const INITDB_LANG: &str = "C.UTF-8";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_server_gets_the_users_environment_without_what_would_change_it() {
        let inherited = [
            ("PATH", "/usr/lib/postgresql/17/bin:/usr/bin"),
            ("AWS_REGION", "eu-central-1"),
            ("PGDATA", "/var/pv/17/data"),
            ("PGPORT", "5433"),
            ("PGOPS_DATABASE", "orders"),
            ("POSTGRES_INITDB_ARGS", "-k"),
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ];
        let mut kept: Vec<_> = server_environment(inherited.map(|(name, value)| (name.into(), value.into())))
            .into_iter()
            .map(|(name, _)| name.into_string().unwrap())
            .collect();
        kept.sort();
        assert_eq!(kept, ["AWS_REGION", "LANG", "PATH"]);
    }

    #[test]
    fn takes_the_first_directory_that_holds_a_server_or_names_them_all() {
        let root = tempfile::tempdir().unwrap();
        let searched = ["empty", "plain", "first", "second"].map(|name| root.path().join(name)).to_vec();
        for (directory, mode) in searched[1..].iter().zip([0o644, 0o755, 0o755]) {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("postgres"), "").unwrap();
            std::fs::set_permissions(directory.join("postgres"), Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(locate(17, searched.clone()).unwrap(), searched[2]);
        let error = locate(17, searched[..2].to_vec()).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 17") && error.contains("/plain"), "{error}");
    }

    #[tokio::test]
    async fn asks_a_program_for_its_version() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("postgres");
        std::fs::write(&program, "#!/bin/sh\necho 'postgres (PostgreSQL) 13.16 (Debian 13.16-0+deb11u1)'\n")
            .unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let reaper = Reaper::start().unwrap();
        assert_eq!(ask_version(&program, &reaper).await.unwrap().to_string(), "13.16");
        std::fs::write(&program, "#!/bin/sh\nexit 127\n").unwrap();
        let error = ask_version(&program, &reaper).await.unwrap_err().to_string();
        assert!(error.contains("exit status 127"), "{error}");
    }
}
