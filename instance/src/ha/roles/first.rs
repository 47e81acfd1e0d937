//! Makes the roles before the first server of a database is started by Patroni, which starts every server as a standby: there no
//! role can be made, and without the one for streaming Patroni does not find out the timeline of its server, and promotes none.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgops_volume::{FileError, Tree};

use super::statements::{ROLES, complete, create};
use crate::environment;
use crate::gate::{BIN_DIR, Gated};
use crate::ha::secret::Passwords;
use crate::reaper::{Exit, Reaper};
use crate::unlogged;

/// The database in which the rights on functions hold: Patroni connects to it.
const DATABASE: &str = "postgres";

/// Why the roles were not made.
#[derive(Debug, thiserror::Error)]
pub enum RolesError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("failed to start a server for a single user")]
    Start(#[source] io::Error),
    #[error(
        "failed to make the roles of the members: the server for a single user ended with {0}; see its output above"
    )]
    Failed(Exit),
}

/// Makes them by a server for a single user, which the gate lets work on the data as it does any server.
pub async fn create_first(
    data: &Path,
    settings: &Path,
    major: u32,
    passwords: &Passwords,
    run_dir: &Tree,
    reaper: &Reaper,
) -> Result<(), RolesError> {
    tracing::info!("making the roles by which the servers of this database reach each other");
    let script = Script::write(run_dir, passwords)?;
    let input = File::open(&script.path).map_err(FileError::on("open", &script.path))?;
    let mut command = command(run_dir.root(), data, settings, major);
    command.stdin(input);
    let exit = reaper.spawn(&mut command).map_err(RolesError::Start)?.wait().await;
    if exit.success() { Ok(()) } else { Err(RolesError::Failed(exit)) }
}

/// What it prints on its standard output are prompts.
fn command(run_dir: &Path, data: &Path, settings: &Path, major: u32) -> Command {
    let mut command = Command::new(run_dir.join(BIN_DIR).join(Gated::Postgres.name()));
    command.env_clear().envs(environment::server(std::env::vars_os())).stdout(Stdio::null());
    command.arg("--single").arg("-D").arg(data);
    command.arg("-c").arg(format!("config_file={}", settings.display()));
    for (name, value) in unlogged::settings(major) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.arg(DATABASE);
    command
}

/// The statements, which exist as a file for as long as this value. One that fails ends no other: after a major upgrade the roles
/// exist.
struct Script {
    directory: Tree,
    path: PathBuf,
}

impl Script {
    fn write(directory: &Tree, passwords: &Passwords) -> Result<Self, FileError> {
        let path = directory.root().join("roles.sql");
        let script = Self { directory: directory.clone(), path };
        let mut file = directory.create_file(&script.path)?;
        let lines: Vec<_> = ROLES.map(create).into_iter().chain(complete(passwords)).collect();
        writeln!(file, "{}", lines.join("\n")).map_err(FileError::on("write", &script.path))?;
        Ok(script)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // The directory lives as long as the container: a file that cannot be removed goes with it.
        let _ = self.directory.remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixture::Fixture;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn passwords() -> Passwords {
        Passwords { replication: "s3cret".to_owned(), rewind: "s3cret".to_owned() }
    }

    #[test]
    fn server_for_a_single_user_logs_no_statement() {
        let command =
            command(Path::new("/pgops/run"), Path::new("/var/pv/17/data"), Path::new("/c.conf"), 17);
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        assert_eq!(words[..5], ["--single", "-D", "/var/pv/17/data", "-c", "config_file=/c.conf"]);
        for setting in ["log_statement=none", "log_min_error_statement=panic", "log_min_duration_sample=-1"] {
            assert!(words.iter().any(|word| word == setting), "{setting}");
        }
        assert_eq!(words.last().unwrap(), "postgres");
    }

    /// The links of the fixture lead to the binary of the tests, which is not the client: so the program is put in place of one.
    #[tokio::test(flavor = "multi_thread")]
    async fn statements_are_read_by_the_server_and_do_not_stay() {
        let fixture = Fixture::new("exit 0");
        let run_dir = Tree::at(fixture.run_dir());
        let (link, read) = (fixture.run_dir().join("bin/postgres"), fixture.file("read"));
        let run = async |script: &str| {
            fs::remove_file(&link).unwrap();
            fs::write(&link, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&link, fs::Permissions::from_mode(0o755)).unwrap();
            let data = fixture.volume.data_dir(17);
            create_first(&data, Path::new("/c"), 17, &passwords(), &run_dir, &Reaper::start().unwrap()).await
        };
        run(&format!("cat > {}", read.display())).await.unwrap();
        let statements = fs::read_to_string(&read).unwrap();
        assert_eq!(statements.lines().count(), 5, "{statements}");
        assert!(statements.starts_with("CREATE ROLE pgops_replication\n"), "{statements}");
        assert!(!statements.contains("s3cret"), "{statements}");
        assert!(!fixture.run_dir().join("roles.sql").exists());
        assert!(matches!(run("exit 1").await, Err(RolesError::Failed(Exit::Status(1)))));
    }
}
