//! An error of a server, or of the connection to it, without values of users.

use std::error::Error as _;
use std::str::Utf8Error;

use pgops_api::display_chain;
use tokio_postgres::error::{DbError, SqlState};

use crate::postgres::redact::{Disclosure, disclosure, redact_message};

/// What is shown of an error. The client's own type shows DETAIL and HINT too, with the rows that an error is about, so
/// nothing else than this is ever the source of an error.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct DatabaseError {
    text: String,
    /// What kind of error the server reports, or that its answer is not valid UTF-8; `None` if the connection failed.
    code: Option<SqlState>,
}

impl DatabaseError {
    /// The kind of the error, if the server reports one.
    #[must_use]
    pub fn code(&self) -> Option<&SqlState> {
        self.code.as_ref()
    }

    /// Whether the server has reported an error that the next attempt would meet again: neither a lost connection (class 08),
    /// nor a conflict with other transactions (40, lock), nor insufficient resources (53), nor a server that is starting or
    /// stopping, or a cancelled statement (57). For statements of pgops; those that run code of users ask [`is_shutdown`].
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        const PASSING: [&str; 4] = ["08", "40", "53", "57"];
        self.code.as_ref().is_some_and(|code| {
            *code != SqlState::LOCK_NOT_AVAILABLE
                && !PASSING.iter().any(|class| code.code().starts_with(class))
        })
    }

    #[cfg(test)]
    pub fn reported(text: &str, code: SqlState) -> Self {
        Self { text: text.to_owned(), code: Some(code) }
    }
}

/// Whether the server is stopping or starting (class 57P). Of a statement that runs code of users only this counts as passing:
/// that code may report any code of its own, such as a lack of memory or a lock, and would end the work on all other tables.
#[must_use]
pub fn is_shutdown(code: &SqlState) -> bool {
    code.code().starts_with("57P")
}

/// Whether an answer could not be read since it is not valid UTF-8, as a name in a database with the encoding `SQL_ASCII` may be.
#[must_use]
pub fn is_not_utf8(error: &tokio_postgres::Error) -> bool {
    matches!(error.source(), Some(source) if source.is::<Utf8Error>())
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(reported) => Self { text: Shown::of(reported).text(), code: Some(reported.code().clone()) },
            // Another attempt would read the same.
            None if is_not_utf8(&error) => Self {
                text: "a name or another text in the answer is not valid UTF-8".to_owned(),
                code: Some(SqlState::CHARACTER_NOT_IN_REPERTOIRE),
            },
            None => Self { text: display_chain(&error), code: None },
        }
    }
}

/// The parts of a reported error that are used at all.
struct Shown<'a> {
    severity: &'a str,
    code: &'a str,
    message: &'a str,
    /// What kind of object each name is of, and the name.
    names: Vec<(&'static str, &'a str)>,
}

impl<'a> Shown<'a> {
    fn of(error: &'a DbError) -> Self {
        let names = [
            ("schema", error.schema()),
            ("table", error.table()),
            ("column", error.column()),
            ("type", error.datatype()),
            ("constraint", error.constraint()),
        ];
        Self {
            severity: error.severity(),
            code: error.code().code(),
            message: error.message(),
            names: names.into_iter().filter_map(|(kind, name)| Some((kind, name?))).collect(),
        }
    }

    fn text(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|(_, name)| *name).collect();
        let message = match disclosure(self.code) {
            Disclosure::Names => redact_message(self.message, None),
            Disclosure::Fields => redact_message(self.message, Some(&names)),
            Disclosure::Nothing => {
                "raised by code of a user; its text is in the server's log only".to_owned()
            }
        };
        let mut about = vec![format!("SQLSTATE {}", self.code)];
        let further = self.names.iter().filter(|(_, name)| !message.contains(&format!("\"{name}\"")));
        about.extend(further.map(|(kind, name)| format!("{kind} \"{name}\"")));
        format!("{}: {message} ({})", self.severity, about.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn shutdown_is_told_from_what_code_of_users_reports() {
        assert!(is_shutdown(&SqlState::ADMIN_SHUTDOWN) && is_shutdown(&SqlState::CANNOT_CONNECT_NOW));
        let by_users = [SqlState::QUERY_CANCELED, SqlState::OUT_OF_MEMORY, SqlState::INSUFFICIENT_PRIVILEGE];
        assert!(by_users.iter().all(|code| !is_shutdown(code)));
    }

    /// Errors of servers 13 to 18; in all of them `hunter2` is a value.
    #[rstest]
    #[case::duplicate(
        "23505",
        "could not create unique index \"users_email_key\"",
        &[("schema", "public"), ("table", "users"), ("constraint", "users_email_key")],
        "ERROR: could not create unique index \"users_email_key\" (SQLSTATE 23505, schema \"public\", table \"users\")"
    )]
    #[case::check(
        "23514",
        "new row for relation \"users\" violates check constraint \"adult\"",
        &[("table", "users"), ("constraint", "adult")],
        "ERROR: new row for relation \"users\" violates check constraint \"adult\" (SQLSTATE 23514)"
    )]
    #[case::conversion(
        "22P02",
        "invalid input syntax for type integer: \"hunter2\"",
        &[],
        "ERROR: invalid input syntax for type integer: \"…\" (SQLSTATE 22P02)"
    )]
    #[case::domain(
        "23514",
        "value for domain email violates check constraint \"email_check\"",
        &[("type", "email"), ("constraint", "email_check")],
        "ERROR: value for domain email violates check constraint \"email_check\" (SQLSTATE 23514, type \"email\")"
    )]
    #[case::range("22003", "value \"hunter2\" is out of range for type integer", &[],
        "ERROR: value \"…\" is out of range for type integer (SQLSTATE 22003)")]
    #[case::setting("22023", "invalid value for parameter \"work_mem\": \"hunter2\"", &[],
        "ERROR: invalid value for parameter \"…\" (SQLSTATE 22023)")]
    #[case::raised("P0001", "customer hunter2 is not allowed here", &[],
        "ERROR: raised by code of a user; its text is in the server's log only (SQLSTATE P0001)")]
    #[case::python("38000", "ValueError: hunter2", &[],
        "ERROR: raised by code of a user; its text is in the server's log only (SQLSTATE 38000)")]
    #[case::foreign_server("HV00L", "could not connect: \"hunter2\"", &[],
        "ERROR: could not connect: \"…\" (SQLSTATE HV00L)")]
    #[case::undefined("42P01", "relation \"shop.orders\" does not exist", &[],
        "ERROR: relation \"shop.orders\" does not exist (SQLSTATE 42P01)")]
    #[case::disk_full("53100", "could not extend file \"base/5/16390\": No space left on device", &[],
        "ERROR: could not extend file \"base/5/16390\": No space left on device (SQLSTATE 53100)")]
    #[case::corrupt("XX002", "item order invariant violated for index \"words_w\"", &[],
        "ERROR: item order invariant violated for index \"words_w\" (SQLSTATE XX002)")]
    fn error_of_a_server_is_shown_without_values(
        #[case] code: &str,
        #[case] message: &str,
        #[case] names: &[(&'static str, &str)],
        #[case] expected: &str,
    ) {
        let shown = Shown { severity: "ERROR", code, message, names: names.to_vec() };
        assert_eq!(shown.text(), expected);
    }
}
