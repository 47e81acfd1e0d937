//! A `pg_dump` for `pg_upgrade` that leaves column options behind which the target does not know.
//!
//! Some builds of `PostgreSQL` (Debian's security updates of November 2026, `17.12-0+deb13u1` among
//! them) keep an option of their own, `pg_attver`, with every column. `pg_dump` of a version without
//! it writes it down like a user's option, and the restore fails with `unrecognized parameter`: after
//! the old server was stopped, and `pg_upgrade --check` does not see it. Here the statement is blanked in
//! the finished archive. Its length stays, so every offset and length in the archive holds; the
//! definitions in an archive's table of contents are never compressed.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use regex::bytes::{Captures, Regex};

/// Environment variable with the path of the real `pg_dump`.
pub const REAL_VARIABLE: &str = "PGOPS_PG_DUMP";
/// The option that some builds keep with every column.
pub const OPTION: &str = "pg_attver";
/// Name that this program is called by.
pub const NAME: &str = "pg_dump";

/// The archive could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The environment does not say which `pg_dump` to run.
    #[error("failed to find the real pg_dump: {REAL_VARIABLE} is not set")]
    NoProgram,
    /// The real `pg_dump` could not be run.
    #[error("failed to run {0}")]
    Run(PathBuf, #[source] io::Error),
    /// The archive could not be read or written.
    #[error("failed to change the archive {0}")]
    Archive(PathBuf, #[source] io::Error),
    /// The pattern is wrong.
    #[error("failed to prepare the pattern")]
    Pattern(#[from] regex::Error),
}

/// Does `pg_dump`'s work if `argv[0]` asks for it; `None` if it does not.
#[must_use]
pub fn run_if_called() -> Option<Result<ExitCode, DumpError>> {
    let mut arguments = std::env::args_os();
    let called = PathBuf::from(arguments.next()?);
    (called.file_name()? == NAME).then(|| run(&arguments.collect::<Vec<_>>()))
}

fn run(arguments: &[OsString]) -> Result<ExitCode, DumpError> {
    let real = PathBuf::from(std::env::var_os(REAL_VARIABLE).ok_or(DumpError::NoProgram)?);
    let status =
        Command::new(&real).args(arguments).status().map_err(|source| DumpError::Run(real, source))?;
    if !status.success() {
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        return Ok(ExitCode::from(code));
    }
    let archive =
        arguments.iter().filter_map(|argument| argument.to_str()?.strip_prefix("--file=")).next_back();
    if let Some(archive) = archive {
        change(Path::new(archive))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn change(archive: &Path) -> Result<(), DumpError> {
    let failed = |source| DumpError::Archive(archive.to_owned(), source);
    let before = fs::read(archive).map_err(failed)?;
    let after = blank(&before)?;
    if after != before {
        fs::write(archive, after).map_err(failed)?;
    }
    Ok(())
}

/// Replaces each statement that sets the option alone, and the option where it is set among others, by
/// as many blanks.
fn blank(archive: &[u8]) -> Result<Vec<u8>, regex::Error> {
    // pg_upgrade has every identifier quoted; a quoted one may hold anything but a single quote mark. It is in the
    // database's own encoding, so its bytes are no text to us (`-u`).
    let name = r#""(?:[^"]|"")+""#;
    let column = format!(r"(?-u)ALTER (?:FOREIGN )?TABLE ONLY {name}\.{name} ALTER COLUMN {name} SET \(");
    let alone = Regex::new(&format!(r"{column}{OPTION}=[0-9]+\);"))?;
    let first = Regex::new(&format!(r"({column})({OPTION}=[0-9]+, )"))?;
    let later = Regex::new(&format!(r"({column}[^;]*?)(, {OPTION}=[0-9]+)"))?;
    let blanks = |length: usize| vec![b' '; length];
    let keep_first = |found: &Captures<'_>| [found[1].to_vec(), blanks(found[2].len())].concat();
    let text = alone.replace_all(archive, |found: &Captures<'_>| blanks(found[0].len()));
    let text = first.replace_all(&text, keep_first).into_owned();
    Ok(later.replace_all(&text, keep_first).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::alone(r#"ALTER TABLE ONLY "public"."t" ALTER COLUMN "a" SET (pg_attver=24526768);"#, "")]
    #[case::of_a_foreign_table(
        r#"ALTER FOREIGN TABLE ONLY "public"."t" ALTER COLUMN "a" SET (pg_attver=1);"#,
        ""
    )]
    #[case::odd_names(
        "ALTER TABLE ONLY \"a;b\"\"c\".\"new\nline\" ALTER COLUMN \"x (y)\" SET (pg_attver=24526768);",
        ""
    )]
    #[case::before_another(
        r#"ALTER TABLE ONLY "s"."t" ALTER COLUMN "a" SET (pg_attver=12, n_distinct=5);"#,
        r#"ALTER TABLE ONLY "s"."t" ALTER COLUMN "a" SET (n_distinct=5);"#
    )]
    #[case::after_another(
        r#"ALTER TABLE ONLY "s"."t" ALTER COLUMN "a" SET (n_distinct=5, pg_attver=12);"#,
        r#"ALTER TABLE ONLY "s"."t" ALTER COLUMN "a" SET (n_distinct=5);"#
    )]
    fn the_option_goes_and_the_length_stays(#[case] statement: &str, #[case] expected: &str) {
        let archive = format!("PGDMP\x01{statement}\x00CREATE TABLE x();");
        let changed = blank(archive.as_bytes()).unwrap();
        assert_eq!(changed.len(), archive.len());
        let changed = String::from_utf8(changed).unwrap();
        let changed = changed.trim_start_matches("PGDMP\x01").trim_end_matches("\x00CREATE TABLE x();");
        let squeezed = |text: &str| text.replace(' ', "");
        assert_eq!(squeezed(changed), squeezed(expected));
    }

    #[test]
    fn names_may_be_in_any_encoding() {
        let archive =
            b"ALTER TABLE ONLY \"s\".\"Zo\xeb\" ALTER COLUMN \"\xe4\xf6\" SET (pg_attver=12, n_distinct=5);";
        let changed = blank(archive).unwrap();
        assert_eq!(changed.len(), archive.len());
        assert!(!changed.windows(9).any(|window| window == OPTION.as_bytes()));
    }

    #[test]
    fn other_options_and_texts_stay_as_they_are() {
        let archive =
            br#"ALTER TABLE ONLY "s"."t" ALTER COLUMN "a" SET (n_distinct=5); COMMENT 'pg_attver=12'"#;
        assert_eq!(blank(archive).unwrap(), archive);
    }

    #[test]
    fn statements_of_several_columns_are_all_found() {
        let one = r#"ALTER TABLE ONLY "s"."t" ALTER COLUMN "a" SET (pg_attver=24526768);"#;
        let changed = blank(format!("{one}\n{one}\n").as_bytes()).unwrap();
        assert!(!String::from_utf8(changed).unwrap().contains("pg_attver"));
    }
}
