//! A `pg_dump` for `pg_upgrade` that leaves out column options which the target does not know.
//!
//! Some builds of `PostgreSQL` (Debian's security updates of November 2026, `17.12-0+deb13u1` among them) store an
//! option of their own, `pg_attver`, with every column. `pg_dump` of a version without it writes it like a user's
//! option, and the restore fails with `unrecognized parameter`, after the old server was stopped; `pg_upgrade
//! --check` does not detect it. Here the statement is overwritten with blanks in the finished archive. Its length
//! stays the same, so every offset and length in the archive remains valid; the definitions in an archive's table of
//! contents are never compressed.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use regex::bytes::{Captures, Regex};

use crate::postgres::program::pg_dump::{COLUMN_OPTION, NAME, REAL_VARIABLE};

/// The archive could not be written or changed.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("failed to find the real pg_dump: {REAL_VARIABLE} is not set")]
    NoProgram,
    #[error("failed to run {0}")]
    Run(PathBuf, #[source] io::Error),
    #[error("failed to change the archive {0}")]
    Archive(PathBuf, #[source] io::Error),
    #[error("failed to compile the pattern of column options")]
    Pattern(#[from] regex::Error),
}

/// Acts as `pg_dump` if `argv[0]` has that name; else `None`.
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

/// Overwrites with blanks each statement that sets only the option, and the option where a statement sets others too.
fn blank(archive: &[u8]) -> Result<Vec<u8>, regex::Error> {
    // pg_upgrade has every identifier quoted; a quoted one may contain any character, a quote as two. It is in the
    // database's own encoding, so its bytes may not be valid UTF-8 (`-u`).
    let name = r#""(?:[^"]|"")+""#;
    let column = format!(r"(?-u)ALTER (?:FOREIGN )?TABLE ONLY {name}\.{name} ALTER COLUMN {name} SET \(");
    let alone = Regex::new(&format!(r"{column}{COLUMN_OPTION}=[0-9]+\);"))?;
    let first = Regex::new(&format!(r"({column})({COLUMN_OPTION}=[0-9]+, )"))?;
    let later = Regex::new(&format!(r"({column}[^;]*?)(, {COLUMN_OPTION}=[0-9]+)"))?;
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
    fn column_option_is_blanked_and_the_length_stays(#[case] statement: &str, #[case] expected: &str) {
        let archive = format!("PGDMP\x01{statement}\x00CREATE TABLE x();");
        let changed = blank(archive.as_bytes()).unwrap();
        assert_eq!(changed.len(), archive.len());
        let changed = String::from_utf8(changed).unwrap();
        let changed = changed.trim_start_matches("PGDMP\x01").trim_end_matches("\x00CREATE TABLE x();");
        let squeezed = |text: &str| text.replace(' ', "");
        assert_eq!(squeezed(changed), squeezed(expected));
    }

    #[test]
    fn column_option_is_blanked_next_to_names_in_any_encoding() {
        let archive =
            b"ALTER TABLE ONLY \"s\".\"Zo\xeb\" ALTER COLUMN \"\xe4\xf6\" SET (pg_attver=12, n_distinct=5);";
        let changed = blank(archive).unwrap();
        assert_eq!(changed.len(), archive.len());
        assert!(!changed.windows(9).any(|window| window == COLUMN_OPTION.as_bytes()));
    }

    #[test]
    fn other_options_and_texts_are_unchanged() {
        let archive =
            br#"ALTER TABLE ONLY "s"."t" ALTER COLUMN "a" SET (n_distinct=5); COMMENT 'pg_attver=12'"#;
        assert_eq!(blank(archive).unwrap(), archive);
    }

    #[test]
    fn column_option_is_blanked_for_every_column() {
        let one = r#"ALTER TABLE ONLY "s"."t" ALTER COLUMN "a" SET (pg_attver=24526768);"#;
        let changed = blank(format!("{one}\n{one}\n").as_bytes()).unwrap();
        assert!(!String::from_utf8(changed).unwrap().contains("pg_attver"));
    }
}
