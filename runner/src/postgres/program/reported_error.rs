//! Errors as `pg_dump`, `psql`, `pg_restore` and `initdb` report them: the message, and the statement that it is about.

use std::fmt;

use pgops_api::bounded;

use crate::postgres::redact::{hide_secrets, raised, redact_message, redact_statement};

/// An error that a client program has reported, without secrets and values of users.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportedError {
    /// The message of the server, or of the program.
    pub message: String,
    /// The first line of the statement, if it is reported.
    pub statement: Option<String>,
}

/// The longest message and the longest part of a statement that are shown, in bytes.
const MAX_MESSAGE: usize = 1024;
const MAX_STATEMENT: usize = 512;

/// What precedes the statement.
const STATEMENT: [&str; 3] = ["Command was:", "STATEMENT:", "Query was:"];

impl ReportedError {
    /// Parses the output of a program that has failed.
    #[must_use]
    pub fn parse(output: &str) -> Self {
        // The program reports the failure of its query first, the server's message follows on the same line.
        let is_error = |line: &str| line.contains("ERROR:") || line.contains("error:");
        let position = output.lines().position(is_error);
        let raised = raised_by_user(output, position);
        let output = hide_secrets(output);
        let mut lines = output.lines();
        let message = position.and_then(|position| lines.nth(position)).map(message);
        let rest: Vec<_> = lines.collect();
        let message = message.unwrap_or_else(|| output.lines().next_back().unwrap_or_default());
        // A literal that does not end on this line is hidden up to the end.
        let statement = statement(&rest).map(|first| redact_statement(&with_operands(first, &rest)));
        let message = raised.unwrap_or_else(|| redact_message(message, None));
        Self {
            message: bounded(message, MAX_MESSAGE, ""),
            statement: statement.map(|statement| bounded(statement, MAX_STATEMENT, "")),
        }
    }

    /// Whether a locale does not exist.
    #[must_use]
    pub fn is_missing_locale(&self) -> bool {
        ["LC_COLLATE", "LC_CTYPE", "invalid locale", "create locale"]
            .iter()
            .any(|it| self.message.contains(it))
    }

    /// Whether no library that provides security labels is loaded.
    #[must_use]
    pub fn is_missing_label_provider(&self) -> bool {
        self.message.contains("security label provider")
    }

    /// Whether the name of a constraint is taken: since 18 each NOT NULL is one, which the server names.
    #[must_use]
    pub fn is_taken_constraint_name(&self) -> bool {
        self.message.starts_with("constraint \"") && self.message.ends_with("already exists")
    }

    /// Whether another client holds a lock.
    #[must_use]
    pub fn is_lock_timeout(&self) -> bool {
        self.message.contains("canceling statement due to") && self.message.contains("timeout")
    }

    /// Whether the server had no connection left. The message is in English, as sessions of the programs are.
    #[must_use]
    pub fn is_server_full(&self) -> bool {
        ["sorry, too many clients already", "remaining connection slots are reserved"]
            .iter()
            .any(|text| self.message.contains(text))
    }
}

impl fmt::Display for ReportedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.statement.as_ref().map_or(Ok(()), |statement| write!(f, " (at: {statement})"))
    }
}

/// What is shown in place of the message if code of a user has written it. Its context precedes the statement.
fn raised_by_user(output: &str, error: Option<usize>) -> Option<String> {
    let lines = output.lines().skip(error? + 1);
    let fields = lines.take_while(|line| !STATEMENT.iter().any(|mark| line.contains(mark)));
    let fields = fields.collect::<Vec<_>>().join("\n");
    raised(fields.split_once("CONTEXT:")?.1)
}

fn message(line: &str) -> &str {
    let parts = line.split_once("ERROR:").or_else(|| line.split_once("error:"));
    parts.map_or(line, |(_, message)| message).trim()
}

/// The first line of the statement among the lines of an error.
pub(super) fn statement<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let begin = lines.iter().position(|line| STATEMENT.iter().any(|mark| line.contains(mark)))?;
    let first = STATEMENT.iter().find_map(|mark| Some(lines[begin].split_once(mark)?.1));
    first.into_iter().chain(lines[begin + 1..].iter().copied()).map(str::trim).find(|line| defines(line))
}

/// The statement that begins with that line. Operators have their names in common, so their operands are shown too.
fn with_operands(first: &str, lines: &[&str]) -> String {
    if !first.starts_with("CREATE OPERATOR ") || !first.ends_with('(') {
        return first.to_owned();
    }
    let lines = lines.iter().map(|line| line.trim()).skip_while(|line| !line.ends_with(first));
    let operands = lines
        .take_while(|line| *line != ");")
        .filter(|line| line.starts_with("LEFTARG = ") || line.starts_with("RIGHTARG = "))
        .map(|line| line.trim_end_matches(','));
    format!("{first}{})", operands.collect::<Vec<_>>().join(", "))
}

/// Whether a line is neither blank nor a comment nor what only sets the OID of the next object.
fn defines(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("--") && !line.contains("binary_upgrade_set_next")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reported_statement_is_the_definition() {
        let error = ReportedError::parse(
            "pg_restore: error: could not execute query: ERROR:  column b.buffers_backend does not exist\n\
             LINE 14:  SELECT buffers_backend\n\
             \x20                ^\n\
             Command was: \n\
             -- For binary upgrade, must preserve pg_type oid\n\
             SELECT pg_catalog.binary_upgrade_set_next_pg_type_oid('16560'::pg_catalog.oid);\n\
             \n\
             CREATE VIEW \"public\".\"written\" AS\n SELECT buffers_backend FROM pg_stat_bgwriter b;\n",
        );
        assert_eq!(error.message, "column b.buffers_backend does not exist");
        assert_eq!(error.statement.as_deref(), Some("CREATE VIEW \"public\".\"written\" AS"));
    }

    #[test]
    fn reported_operator_has_its_operands() {
        let error = ReportedError::parse(
            "pg_restore: error: could not execute query: ERROR:  negator operator >= is already the negator of operator >\n\
             Command was: CREATE OPERATOR \"public\".< (\n    FUNCTION = \"public\".\"lt\",\n\
             \x20   LEFTARG = \"public\".\"debversion\",\n    RIGHTARG = \"text\",\n    RESTRICT = \"scalarltsel\"\n);\n",
        );
        let expected =
            "CREATE OPERATOR \"public\".< (LEFTARG = \"public\".\"debversion\", RIGHTARG = \"text\")";
        assert_eq!(error.statement.as_deref(), Some(expected));
    }

    #[test]
    fn reported_error_is_bounded() {
        let error = ReportedError::parse(&format!(
            "pg_restore: error: could not execute query: ERROR:  {0}\nCommand was: CREATE VIEW {0}\n",
            "x".repeat(60_000)
        ));
        assert!(error.message.len() <= MAX_MESSAGE && error.statement.unwrap().len() <= MAX_STATEMENT);
    }

    #[test]
    fn reported_statement_of_psql_is_found() {
        let error = ReportedError::parse(
            "psql:/tmp/globals.sql:40: ERROR:  permission denied to grant role\n\
             STATEMENT:  GRANT \"a\" TO \"b\" GRANTED BY \"c\";\n",
        );
        assert_eq!(
            error.to_string(),
            "permission denied to grant role (at: GRANT \"a\" TO \"b\" GRANTED BY \"c\";)"
        );
    }

    #[test]
    fn reported_error_has_no_values_of_users() {
        let text = ReportedError::parse(
            "pg_restore: error: could not execute query: ERROR:  invalid input syntax for type integer: \"hunter2\"\n\
             DETAIL:  hunter2\nCommand was: ALTER TABLE \"t\" ADD CHECK (\"a\" <> 'hunter2' OR \"b\" = 'hunter2\n');\n",
        );
        assert_eq!(
            text.to_string(),
            "invalid input syntax for type integer: \"…\" (at: ALTER TABLE \"t\" ADD CHECK (\"a\" <> '…' OR \"b\" = '…')"
        );
    }

    #[test]
    fn reported_error_of_a_users_code_has_its_function_and_statement_only() {
        let text = ReportedError::parse(
            "pg_restore: error: could not execute query: ERROR:  ann@example.com is not allowed\n\
             DETAIL:  ann@example.com\n\
             CONTEXT:  PL/pgSQL function s.check_password() line 2 at RAISE\n\
             Command was: CREATE TABLE \"s\".\"t\" ();\n",
        );
        assert_eq!(
            text.to_string(),
            "raised by PL/pgSQL function s.check_password() line 2 at RAISE; its text is not shown \
             (at: CREATE TABLE \"s\".\"t\" ();)"
        );
    }

    #[test]
    fn reported_error_redacts_options_of_a_foreign_server() {
        let text = ReportedError::parse(
            "pg_restore: error: could not execute query: ERROR:  no such wrapper\n\
             Command was: CREATE USER MAPPING FOR \"a\" SERVER \"s\" OPTIONS (\n    \"password\" 'sesame');\n",
        );
        assert!(!text.to_string().contains("sesame"), "{text}");
    }

    #[test]
    fn reported_error_with_a_secret_is_redacted_in_place() {
        let text = "pg_restore: error: could not execute query: ERROR:  invalid value for \"my_password\": \"x\"\n\
                    Command was: -- For binary upgrade\nUPDATE pg_database SET datistemplate = false;\n";
        let error = ReportedError::parse(text);
        assert!(error.message.starts_with("(redacted"), "{error}");
    }

    #[test]
    fn reported_error_tells_lock_and_locale_apart() {
        let lock = ReportedError::parse(
            "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\n\
             pg_dump: detail: Query was: LOCK TABLE \"public\".\"t\" IN ACCESS SHARE MODE\n",
        );
        assert!(lock.is_lock_timeout() && !lock.is_missing_locale(), "{lock}");
        let locale = ReportedError::parse(
            "pg_restore: error: could not execute query: ERROR:  invalid LC_COLLATE locale name: \"xx_YY\"\n",
        );
        assert!(locale.is_missing_locale() && !locale.is_lock_timeout(), "{locale}");
        assert!(ReportedError::parse("initdb: error: invalid locale name \"xx_YY\"").is_missing_locale());
    }

    #[test]
    fn reported_error_without_a_message_is_the_last_line() {
        assert_eq!(ReportedError::parse("Killed").message, "Killed");
    }
}
