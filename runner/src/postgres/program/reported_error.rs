//! What `pg_dump`, `psql` and `pg_restore` say when a definition does not pass: the error, and the
//! statement that it is about.

use crate::postgres::pg_upgrade::withhold;

/// A definition that did not pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The server's words, or the program's.
    pub error: String,
    /// The first line of the statement, where it is told.
    pub statement: Option<String>,
}

/// What stands before the statement.
const STATEMENT: [&str; 3] = ["Command was:", "STATEMENT:", "Query was:"];

impl Refusal {
    /// Reads the output of a program that has failed. Lines that may hold a secret are not in it.
    #[must_use]
    pub fn read(output: &str) -> Self {
        // The program names its query's failure first, the server's words follow on the same line.
        let said = |line: &str| line.contains("ERROR:") || line.contains("error:");
        let begin = output.lines().position(said);
        let output = withhold(output);
        let mut lines = output.lines();
        let error = begin.and_then(|begin| lines.nth(begin)).map(|line| {
            let parts = line.split_once("ERROR:").or_else(|| line.split_once("error:"));
            parts.map_or(line, |(_, error)| error).trim().to_owned()
        });
        let rest: Vec<_> = lines.collect();
        let begin = rest.iter().position(|line| STATEMENT.iter().any(|mark| line.contains(mark)));
        let statement = begin.and_then(|begin| {
            let first = STATEMENT.iter().find_map(|mark| Some(rest[begin].split_once(mark)?.1));
            first
                .into_iter()
                .chain(rest[begin + 1..].iter().copied())
                .map(str::trim)
                .find(|line| defines(line))
        });
        Self {
            error: error.unwrap_or_else(|| output.lines().next_back().unwrap_or_default().to_owned()),
            statement: statement.map(ToOwned::to_owned),
        }
    }

    /// Whether a locale is not there.
    #[must_use]
    pub fn is_of_a_locale(&self) -> bool {
        ["LC_COLLATE", "LC_CTYPE", "invalid locale", "create locale"].iter().any(|it| self.error.contains(it))
    }

    /// Whether somebody holds a lock.
    #[must_use]
    pub fn is_of_a_lock(&self) -> bool {
        self.error.contains("canceling statement due to") && self.error.contains("timeout")
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)?;
        self.statement.as_ref().map_or(Ok(()), |statement| write!(f, " (at: {statement})"))
    }
}

/// Not a blank, a comment, or what only sets the number of the next object.
fn defines(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("--") && !line.contains("binary_upgrade_set_next")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_is_the_definition_and_not_what_prepares_it() {
        let refusal = Refusal::read(
            "pg_restore: error: could not execute query: ERROR:  column b.buffers_backend does not exist\n\
             LINE 14:  SELECT buffers_backend\n\
             \x20                ^\n\
             Command was: \n\
             -- For binary upgrade, must preserve pg_type oid\n\
             SELECT pg_catalog.binary_upgrade_set_next_pg_type_oid('16560'::pg_catalog.oid);\n\
             \n\
             CREATE VIEW \"public\".\"written\" AS\n SELECT buffers_backend FROM pg_stat_bgwriter b;\n",
        );
        assert_eq!(refusal.error, "column b.buffers_backend does not exist");
        assert_eq!(refusal.statement.as_deref(), Some("CREATE VIEW \"public\".\"written\" AS"));
    }

    #[test]
    fn psqls_statement_is_found_too() {
        let refusal = Refusal::read(
            "psql:/tmp/globals.sql:40: ERROR:  permission denied to grant role\n\
             STATEMENT:  GRANT \"a\" TO \"b\" GRANTED BY \"c\";\n",
        );
        assert_eq!(
            refusal.to_string(),
            "permission denied to grant role (at: GRANT \"a\" TO \"b\" GRANTED BY \"c\";)"
        );
    }

    #[test]
    fn the_options_of_a_foreign_server_never_get_out() {
        let text = Refusal::read(
            "pg_restore: error: could not execute query: ERROR:  no such wrapper\n\
             Command was: CREATE USER MAPPING FOR \"a\" SERVER \"s\" OPTIONS (\n    \"password\" 'sesame');\n",
        );
        assert!(!text.to_string().contains("sesame"), "{text}");
    }

    #[test]
    fn an_error_that_may_hold_a_secret_is_not_replaced_by_another_line() {
        let text = "pg_restore: error: could not execute query: ERROR:  invalid value for \"my_password\": \"x\"\n\
                    Command was: -- For binary upgrade\nUPDATE pg_database SET datistemplate = false;\n";
        let refusal = Refusal::read(text);
        assert!(refusal.error.starts_with("(withheld"), "{refusal}");
    }

    #[test]
    fn a_lock_and_a_locale_are_told_from_the_rest() {
        let lock = Refusal::read(
            "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\n\
             pg_dump: detail: Query was: LOCK TABLE \"public\".\"t\" IN ACCESS SHARE MODE\n",
        );
        assert!(lock.is_of_a_lock() && !lock.is_of_a_locale(), "{lock}");
        let locale = Refusal::read(
            "pg_restore: error: could not execute query: ERROR:  invalid LC_COLLATE locale name: \"xx_YY\"\n",
        );
        assert!(locale.is_of_a_locale() && !locale.is_of_a_lock(), "{locale}");
        assert!(Refusal::read("initdb: error: invalid locale name \"xx_YY\"").is_of_a_locale());
    }

    #[test]
    fn a_program_that_says_nothing_useful_is_quoted() {
        assert_eq!(Refusal::read("Killed").error, "Killed");
    }
}
