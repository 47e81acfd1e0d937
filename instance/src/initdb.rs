//! The first initialisation of a database.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::credentials::Credentials;
use crate::interlock::Interlock;
use crate::programs::{self, Programs};
use crate::reaper::{Exit, Reaper};
use crate::volume::{FileError, Volume};

/// Why a database was not initialised; the volume then holds none.
#[derive(Debug, thiserror::Error)]
pub enum InitdbError {
    /// A file could not be written, removed or renamed.
    #[error(transparent)]
    File(#[from] FileError),
    /// initdb could not be started.
    #[error("failed to start initdb")]
    Start(#[source] io::Error),
    /// initdb failed; its output stands above.
    #[error("failed to initialise the database: initdb ended with {0}; its own words stand in the log above")]
    Failed(Exit),
}

/// Arguments of initdb that the user gave in `POSTGRES_INITDB_ARGS`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Arguments(Vec<String>);

/// Arguments that are ours to give.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentsError {
    /// The quotes do not match.
    #[error(
        "failed to split POSTGRES_INITDB_ARGS {0:?} into words: a quote or a backslash at the end stands alone"
    )]
    Quotes(String),
    /// An option that pgops gives.
    #[error(
        "{0:?} in POSTGRES_INITDB_ARGS is not yours to set: pgops decides on the data directory, the superuser and \
         its password; leave it out"
    )]
    Reserved(String),
}

const RESERVED: [&str; 7] =
    ["--pgdata", "--username", "--pwfile", "--pwprompt", "--waldir", "--show", "--sync-only"];
const RESERVED_SHORT: [char; 6] = ['D', 'U', 'W', 'X', 's', 'S'];

impl FromStr for Arguments {
    type Err = ArgumentsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = shlex::split(text).ok_or_else(|| ArgumentsError::Quotes(text.to_owned()))?;
        let reserved = |word: &&String| {
            let long = word.split('=').next().unwrap_or_default();
            let short = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
            RESERVED.contains(&long) || short.is_some_and(|rest| rest.starts_with(RESERVED_SHORT))
        };
        match words.iter().find(reserved) {
            Some(word) => Err(ArgumentsError::Reserved(word.clone())),
            None => Ok(Self(words)),
        }
    }
}

impl Arguments {
    fn any(&self, options: &[&str]) -> bool {
        self.0.iter().any(|word| options.iter().any(|option| word.starts_with(option)))
    }

    /// All arguments of initdb: ours first, so that the user's win where initdb lets the last one win.
    ///
    /// Before 18 initdb has no checksums unless told to, and does not know how to be told not to.
    fn complete(&self, major: u32, target: &Path, username: &str, password_file: &Path) -> Vec<String> {
        let mut all = vec![
            format!("--pgdata={}", target.display()),
            format!("--username={username}"),
            format!("--pwfile={}", password_file.display()),
            "--auth-local=trust".to_owned(),
            "--auth-host=scram-sha-256".to_owned(),
        ];
        if !self.any(&["--locale", "--no-locale", "--lc-", "--encoding", "-E"]) {
            all.extend(["--encoding=UTF8".to_owned(), "--locale=C.UTF-8".to_owned()]);
        }
        let without = "--no-data-checksums";
        if !self.any(&[without]) {
            all.push("--data-checksums".to_owned());
        }
        all.extend(self.0.iter().filter(|word| major >= 18 || *word != without).cloned());
        all
    }
}

/// Initialises a database, which is on the volume whole or not at all.
///
/// The caller holds the interlock and knows that there never was a database.
pub async fn initialise(
    volume: &Volume,
    interlock: &Interlock,
    programs: &Programs,
    arguments: &Arguments,
    credentials: &Credentials,
    run_dir: &Path,
    reaper: &Reaper,
) -> Result<(), InitdbError> {
    let major = programs.version.major;
    let target = volume.make_room(major)?;
    let password = PasswordFile::write(run_dir, &credentials.password)?;
    let mut command = programs.command("initdb");
    command
        .args(arguments.complete(major, &target, &credentials.username, &password.0))
        .envs(programs::initdb_environment());
    let inherited = interlock.inheritable().map_err(|error| InitdbError::Start(error.into()))?;
    let mut process = reaper.spawn(&mut command).map_err(InitdbError::Start)?;
    drop(inherited);
    let exit = process.wait().await;
    if !exit.success() {
        return Err(InitdbError::Failed(exit));
    }
    volume.publish(major)?;
    volume.activate(major)?;
    Ok(())
}

/// A file with the password, there as long as this value.
struct PasswordFile(PathBuf);

impl PasswordFile {
    fn write(directory: &Path, password: &str) -> Result<Self, FileError> {
        let path = directory.join("initdb-password");
        let file = Self(path.clone());
        let mut opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(FileError::on("create", &path))?;
        writeln!(opened, "{password}").map_err(FileError::on("write", &path))?;
        Ok(file)
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        // The directory is the pod's own memory of one run: what cannot be removed goes with it.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn complete(major: u32, given: &str) -> String {
        let arguments: Arguments = given.parse().unwrap();
        arguments.complete(major, Path::new("/t"), "postgres", Path::new("/p"))[5..].join(" ")
    }

    #[rstest]
    #[case(13, "", "--encoding=UTF8 --locale=C.UTF-8 --data-checksums")]
    #[case(18, "", "--encoding=UTF8 --locale=C.UTF-8 --data-checksums")]
    #[case(17, "--no-data-checksums", "--encoding=UTF8 --locale=C.UTF-8")]
    #[case(18, "--no-data-checksums", "--encoding=UTF8 --locale=C.UTF-8 --no-data-checksums")]
    #[case(13, "-E LATIN1 --locale=C", "--data-checksums -E LATIN1 --locale=C")]
    #[case(17, "--lc-collate='de_DE.utf8'", "--data-checksums --lc-collate=de_DE.utf8")]
    #[case(15, "--wal-segsize=64", "--encoding=UTF8 --locale=C.UTF-8 --data-checksums --wal-segsize=64")]
    fn gives_defaults_only_where_the_user_gave_nothing(
        #[case] major: u32,
        #[case] given: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(complete(major, given), expected);
    }

    #[rstest]
    #[case("-D /elsewhere", "-D")]
    #[case("-k --pgdata=/elsewhere", "--pgdata=/elsewhere")]
    #[case("--username=root", "--username=root")]
    #[case("-Uroot", "-Uroot")]
    #[case("--waldir /wal", "--waldir")]
    #[case("--locale='C", "--locale='C")]
    fn refuses_what_is_not_the_users_and_names_it(#[case] given: &str, #[case] named: &str) {
        let error = given.parse::<Arguments>().unwrap_err().to_string();
        assert!(error.contains(&format!("{named:?}")), "{error}");
    }

    #[test]
    fn the_password_is_in_a_private_file_that_does_not_stay() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = PasswordFile::write(directory.path(), "s3cret").unwrap();
        assert_eq!(fs::read_to_string(&file.0).unwrap(), "s3cret\n");
        assert_eq!(fs::metadata(&file.0).unwrap().permissions().mode() & 0o777, 0o600);
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
