//! Dumps the schema of a serving database as `pg_upgrade` will, and restores it into a scratch server: the same
//! programs and order, and the same options but one: a restore continues after an error, so that all of them are reported at
//! once. Only tablespaces are left out, since their directories are the real ones.

use std::path::{Path, PathBuf};

use pgops_api::layout::DUMPS_DIR;
use pgops_api::session_options::{SessionKind, session_options};

use super::client::quote::conninfo;
use super::program::command::{CommandError, Program};
use super::program::pg_dump;
use super::program::programs::Programs;
use super::program::reported_error::ReportedError;
use super::program::restore_errors::{ErrorReader, RestoreErrors};
use super::proxy::Proxy;
use super::server::scratch::Scratch;

/// How long to wait for a table that another client has locked: further clients queue behind the dump meanwhile.
const LOCK_WAIT: &str = "--lock-wait-timeout=10000";
/// Number of lines of a dump's output that are enough to understand it: it ends at its first error.
const LINES: usize = 60;

/// Where the schema comes from.
pub struct SchemaSource<'a> {
    /// The target version's programs, where no code of users runs.
    pub programs: &'a Programs,
    /// What leads them to the serving database: they have no password.
    pub proxy: &'a Proxy,
    /// Major version of the serving database.
    pub major: u32,
    /// The role with OID 10, which the scratch server already has.
    pub install_user: &'a str,
    /// A directory with links to the programs, if the dump must leave out [`pg_dump::COLUMN_OPTION`].
    pub wrapper: Option<PathBuf>,
}

/// The result for roles and their memberships.
#[derive(Debug, Eq, PartialEq)]
pub enum GlobalsResult {
    Passed,
    NotDumped(ReportedError),
    NotRestored(RestoreErrors),
}

/// Rehearses roles and their memberships, without tablespaces and passwords.
pub async fn globals(source: &SchemaSource<'_>, scratch: &Scratch) -> Result<GlobalsResult, CommandError> {
    let file = Path::new(DUMPS_DIR).join("globals.sql");
    let dump = source
        .client(source.programs.program("pg_dumpall"))
        .args(["--globals-only", "--no-role-passwords"])
        .arg(option("--file", &file));
    if let Err(error) = attempt(dump).await? {
        return Ok(GlobalsResult::NotDumped(error));
    }
    let restore =
        scratch.client("psql").args(["-X", "--quiet", "--echo-errors", "--set", "ON_ERROR_STOP=off"]);
    let restore = restore.args(["--output=/dev/null", "--dbname=template1"]).arg(option("--file", &file));
    Ok(attempt_restore(restore).await?.map_or(GlobalsResult::Passed, GlobalsResult::NotRestored))
}

/// Dumps the schema of one database into a file; returns the error that the dump ends at, if there is one. Code of users may
/// read the file, so it is made elsewhere, and the passwords in it are hidden first.
pub async fn dump(
    source: &SchemaSource<'_>,
    name: &str,
    file: &DumpFile,
) -> Result<Result<(), ReportedError>, CommandError> {
    let dump = source
        .client(source.pg_dump())
        .args(["--schema-only", "--format=custom", "--no-sync"])
        .arg(option("--file", &file.private))
        .arg(format!("--dbname={}", conninfo(name)));
    if let Err(error) = attempt(dump).await? {
        return Ok(Err(error));
    }
    let publish = Program::new(&source.programs.agent, &pg_dump::runner_path()).arg("publish-dump");
    let publish = publish.arg(option("--from", &file.private)).arg(option("--to", &file.published));
    publish.output().await.map(|_| Ok(()))
}

/// Restores the dump of a database; returns what the target rejects, if it does. `template1` must come first, as it does in
/// `pg_upgrade`, then `postgres`: both are dropped, so there must be no session in them.
pub async fn restore(
    scratch: &Scratch,
    name: &str,
    file: &DumpFile,
) -> Result<Option<RestoreErrors>, CommandError> {
    // These two exist already, and pg_restore applies the settings of a database only when it creates it.
    let (options, through) = match name {
        "template1" => (&["--clean"][..], "postgres"),
        "postgres" => (&["--clean"][..], "template1"),
        _ => (&[][..], "template1"),
    };
    // It names the entry of the dump that an error is about only if it names all of them.
    let restore = scratch.client("pg_restore").args(["--create", "--no-tablespaces", "--verbose"]);
    let restore =
        restore.args(options.iter().copied()).arg(format!("--dbname={through}")).path(&file.published);
    attempt_restore(restore).await
}

/// The file of a dump.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DumpFile {
    /// Where it is made: only the container that makes it has this directory.
    private: PathBuf,
    /// Where it is restored from.
    published: PathBuf,
}

impl DumpFile {
    /// There are as many files as places: a later dump replaces an earlier one.
    #[must_use]
    pub fn at(place: usize) -> Self {
        let name = format!("schema-{place}.dump");
        Self { private: Path::new("/tmp").join(&name), published: Path::new(DUMPS_DIR).join(name) }
    }
}

impl SchemaSource<'_> {
    /// A dump program, connected to the serving database.
    fn client(&self, program: Program) -> Program {
        program
            .env("PGHOST", self.proxy.host())
            .env("PGUSER", self.proxy.user())
            .env("PGAPPNAME", "pgops")
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGOPTIONS", &session_options(SessionKind::Dump, self.major))
            .args(["--binary-upgrade", "--quote-all-identifiers", "--no-tablespaces", "--no-password"])
            // The dump leaves out its own role; that must be the one that exists already.
            .arg(format!("--role={}", self.install_user))
            .arg(LOCK_WAIT)
    }

    fn pg_dump(&self) -> Program {
        let real = self.programs.installation.program(pg_dump::NAME);
        match &self.wrapper {
            None => Program::new(&self.programs.agent, &real),
            Some(directory) => Program::new(&self.programs.agent, &directory.join(pg_dump::NAME))
                .env(pg_dump::REAL_VARIABLE, &real.display().to_string()),
        }
    }
}

/// Runs a program; returns the error that it reports if it fails.
async fn attempt(program: Program) -> Result<Result<(), ReportedError>, CommandError> {
    let mut lines = Vec::new();
    let result = program.each_line(|line| {
        if lines.len() < LINES {
            lines.push(line.to_owned());
        }
    });
    match result.await {
        Ok(()) => Ok(Ok(())),
        Err(CommandError::Ended { status, .. }) if lines.is_empty() => Ok(Err(ReportedError::parse(&status))),
        Err(CommandError::Ended { .. }) => Ok(Err(ReportedError::parse(&lines.join("\n")))),
        Err(error) => Err(error),
    }
}

/// Runs a program that continues after errors; returns those that it reports. It has passed only if there are none, whatever
/// its exit status: that of `psql` says nothing about them.
async fn attempt_restore(program: Program) -> Result<Option<RestoreErrors>, CommandError> {
    let mut reader = ErrorReader::default();
    let result = program.each_line(|line| reader.line(line)).await;
    let errors = reader.finish();
    let failed = !errors.is_empty();
    match result {
        Ok(()) => Ok(failed.then_some(errors)),
        // Each error is printed with a whole definition: there may be more of them than are read.
        Err(CommandError::Ended { .. } | CommandError::TooMuchOutput { .. }) if failed => Ok(Some(errors)),
        Err(CommandError::Ended { status, tail, .. }) => {
            let last = tail.lines().next_back().map(|line| format!(", after \"{line}\"")).unwrap_or_default();
            Ok(Some(RestoreErrors::one(ReportedError {
                message: format!("{status}{last}"),
                statement: None,
            })))
        }
        Err(error) => Err(error),
    }
}

fn option(name: &str, file: &Path) -> String {
    format!("{name}={}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::agent::tests::TestAgent;

    #[tokio::test]
    async fn failed_program_without_output_is_reported_by_its_status() {
        let agent = TestAgent::start();
        let shell = |script: &str| Program::new(&agent.client, Path::new("/bin/sh")).arg("-c").arg(script);
        assert_eq!(attempt(shell("true")).await.unwrap(), Ok(()));
        let error = attempt(shell("exit 3")).await.unwrap().unwrap_err();
        assert!(error.message.contains("exit status: 3"), "{error}");
        let error = attempt(shell("echo 'x: error: broken' >&2; exit 1")).await.unwrap().unwrap_err();
        assert_eq!(error.message, "broken");
    }

    /// `psql` ends with 0 even then.
    #[tokio::test]
    async fn restore_with_errors_has_not_passed_whatever_its_exit_status() {
        let agent = TestAgent::start();
        let shell = |script: &str| Program::new(&agent.client, Path::new("/bin/sh")).arg("-c").arg(script);
        let messages = async |script: &str| {
            let errors = attempt_restore(shell(script)).await.unwrap().unwrap_or_default();
            errors.errors.into_iter().map(|error| error.error.message).collect::<Vec<_>>()
        };
        let two = "printf 'psql:/g.sql:1: ERROR:  a\\npsql:/g.sql:2: ERROR:  b\\n' >&2; exit ";
        assert_eq!(messages(&format!("{two}0")).await, ["a", "b"]);
        assert_eq!(messages(&format!("{two}1")).await, ["a", "b"]);
        assert_eq!(attempt_restore(shell("echo 'pg_restore: creating TABLE'")).await.unwrap(), None);
        assert!(messages("exit 3").await[0].contains("exit status: 3"));
        let killed = messages("echo 'pg_restore: creating TABLE \"public.t\"' >&2; kill -9 $$").await;
        assert!(killed[0].contains("signal: 9") && killed[0].contains("public.t"), "{killed:?}");
    }
}
