//! Dumps the schema of a serving database as `pg_upgrade` will, and restores it into a scratch server:
//! the same programs, options and order, but for tablespaces, whose directories are the real ones.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use pgops_api::{layout, names};

use crate::postgres::client::session::{SESSION_SETTINGS, ServerError, Superuser, identifier};
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::installation::Installation;
use crate::postgres::program::reported_error::Refusal;
use crate::postgres::server::scratch::Scratch;
use crate::worker::{install, pg_dump_wrapper as dump};

/// How long to wait for a table that somebody has locked: others queue behind us meanwhile.
const LOCK_WAIT: &str = "--lock-wait-timeout=10000";
/// Lines of a program's output that are enough to understand it.
const LINES: usize = 60;

/// Where the schema comes from.
pub struct Source<'a> {
    /// The target's programs.
    pub new: &'a Installation,
    /// Who connects.
    pub superuser: &'a Superuser,
    /// Address of the serving database.
    pub ip: &'a str,
    /// The role with OID 10, whom the scratch server has already.
    pub install_user: &'a str,
    /// Whether the dump must leave out what [`crate::worker::pg_dump_wrapper`] speaks of.
    pub drop_column_option: bool,
}

/// What became of one part of the schema.
#[derive(Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It could not be dumped.
    NotDumped(Refusal),
    /// It could not be restored.
    NotRestored(Refusal),
}

/// Roles and their memberships. Tablespaces and passwords stay where they are.
pub async fn globals(source: &Source<'_>, scratch: &Scratch) -> Result<Verdict, CommandError> {
    let file = scratch.file("globals.sql");
    let dump = source
        .client(Program::new(source.new.program("pg_dumpall")))
        .args(["--globals-only", "--no-role-passwords"])
        .arg(option("--file", &file));
    if let Err(refusal) = attempt(dump).await? {
        return Ok(Verdict::NotDumped(refusal));
    }
    let restore =
        scratch.client("psql").args(["-X", "--quiet", "--echo-errors", "--set", "ON_ERROR_STOP=on"]);
    let restore = restore.args(["--output=/dev/null", "--dbname=template1"]).arg(option("--file", &file));
    Ok(attempt(restore).await?.map_or_else(Verdict::NotRestored, |()| Verdict::Passed))
}

/// The schema of one database. `template1` must come first, as it does in `pg_upgrade`.
pub async fn database(source: &Source<'_>, scratch: &Scratch, name: &str) -> Result<Verdict, CommandError> {
    let file = scratch.file("schema.dump");
    let dump = source
        .client(source.pg_dump(scratch)?)
        .args(["--schema-only", "--format=custom", "--no-sync"])
        .arg(option("--file", &file))
        .arg(format!("--dbname={}", conninfo(name)));
    if let Err(refusal) = attempt(dump).await? {
        return Ok(Verdict::NotDumped(refusal));
    }
    // These two are there already, and only a database made anew gets its settings.
    let (own, through) = match name {
        "template1" => (&["--clean"][..], "postgres"),
        "postgres" => (&["--clean"][..], "template1"),
        _ => (&[][..], "template1"),
    };
    let restore = scratch.client("pg_restore").args(["--create", "--exit-on-error", "--no-tablespaces"]);
    let restore = restore.args(own).arg(format!("--dbname={through}")).arg(&file);
    Ok(attempt(restore).await?.map_or_else(Verdict::NotRestored, |()| Verdict::Passed))
}

/// Drops a database that was tried, as far as it is there: there is never more than one in the worker's
/// file system.
pub async fn drop_database(scratch: &Scratch, name: &str) -> Result<(), ServerError> {
    if ["template1", "postgres"].contains(&name) {
        return Ok(());
    }
    let client = scratch.connect("template1").await?;
    // A template is not dropped, and neither is a database with subscriptions.
    let templates =
        "UPDATE pg_database SET datistemplate = false WHERE datname NOT IN ('template0', 'template1')";
    let subscriptions = "DELETE FROM pg_subscription";
    let drop = format!("DROP DATABASE IF EXISTS {}", identifier(name));
    for statement in [templates, subscriptions, &drop] {
        let what = "a database of the rehearsal to be dropped";
        client.batch_execute(statement).await.map_err(|source| ServerError::Query { what, source })?;
    }
    Ok(())
}

impl Source<'_> {
    /// A dumping program, connected to the serving database.
    fn client(&self, program: Program) -> Program {
        program
            .env("PGHOST", self.ip)
            .env("PGPORT", &names::POSTGRES_PORT.to_string())
            .env("PGUSER", &self.superuser.name)
            .env("PGPASSWORD", self.superuser.password())
            .env("PGAPPNAME", "pgops")
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGOPTIONS", SESSION_SETTINGS)
            .args(["--binary-upgrade", "--quote-all-identifiers", "--no-tablespaces", "--no-password"])
            // It leaves out the role that it is; that must be the one which is there already.
            .arg(format!("--role={}", self.install_user))
            .arg(LOCK_WAIT)
    }

    fn pg_dump(&self, scratch: &Scratch) -> Result<Program, CommandError> {
        let real = self.new.program(dump::NAME);
        if !self.drop_column_option {
            return Ok(Program::new(real));
        }
        let ours = scratch.file(dump::NAME);
        let linked = symlink(Path::new(layout::TOOLS_DIR).join(install::PROGRAM), &ours);
        match linked {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(CommandError::Start { program: ours.display().to_string(), source })
            }
            _ => Ok(Program::new(ours).env(dump::REAL_VARIABLE, &real.display().to_string())),
        }
    }
}

/// Runs a program to its end; one that fails has something to say.
async fn attempt(program: Program) -> Result<Result<(), Refusal>, CommandError> {
    let mut said = Vec::new();
    let result = program.each_line(|line| {
        if said.len() < LINES {
            said.push(line.to_owned());
        }
    });
    match result.await {
        Ok(()) => Ok(Ok(())),
        Err(CommandError::Ended { status, .. }) if said.is_empty() => Ok(Err(Refusal::read(&status))),
        Err(CommandError::Ended { .. }) => Ok(Err(Refusal::read(&said.join("\n")))),
        Err(error) => Err(error),
    }
}

fn option(name: &str, file: &Path) -> String {
    format!("{name}={}", file.display())
}

/// A connection string that names a database, whatever its name is.
fn conninfo(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_database_is_one_value() {
        assert_eq!(conninfo("shop"), "dbname='shop'");
        assert_eq!(conninfo(r"it's = a \ name"), r"dbname='it\'s = a \\ name'");
    }

    #[tokio::test]
    async fn a_program_that_fails_without_a_word_is_told_by_its_status() {
        let shell = |script: &str| Program::new("/bin/sh".into()).arg("-c").arg(script);
        assert_eq!(attempt(shell("true")).await.unwrap(), Ok(()));
        let refusal = attempt(shell("exit 3")).await.unwrap().unwrap_err();
        assert!(refusal.error.contains("exit status: 3"), "{refusal}");
        let refusal = attempt(shell("echo 'x: error: broken' >&2; exit 1")).await.unwrap().unwrap_err();
        assert_eq!(refusal.error, "broken");
    }
}
