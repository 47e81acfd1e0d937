//! What a program of `PostgreSQL` prints, and what is in its log: errors with their fields, one to a line or more.

use super::message::redact_message;
use super::raised::raised;
use super::secrets::hide_secrets;
use super::statement::redact_statement;

/// What a line begins, after the name of the program or the prefix of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    /// Anything else: one line.
    Plain,
    /// What happened, whose values are hidden.
    Message,
    /// A statement, whose literals are hidden.
    Statement,
    /// Values of rows, and statements that a function has put together: left out.
    Hidden,
    /// Where an error was raised, which says whose words its message has: left out.
    Context,
}

const MARKS: [(&str, Field); 22] = [
    ("ERROR:", Field::Message),
    ("FATAL:", Field::Message),
    ("PANIC:", Field::Message),
    ("WARNING:", Field::Message),
    ("NOTICE:", Field::Message),
    ("LOG:", Field::Message),
    ("INFO:", Field::Message),
    ("error:", Field::Message),
    ("warning:", Field::Message),
    ("fatal:", Field::Message),
    ("STATEMENT:", Field::Statement),
    ("Command was:", Field::Statement),
    ("Query was:", Field::Statement),
    ("query was:", Field::Statement),
    ("DETAIL:", Field::Hidden),
    ("HINT:", Field::Hidden),
    ("CONTEXT:", Field::Context),
    ("QUERY:", Field::Hidden),
    ("LOCATION:", Field::Hidden),
    ("detail:", Field::Hidden),
    ("hint:", Field::Hidden),
    ("LINE ", Field::Hidden),
];

/// What precedes a command line in a log of `pg_upgrade`.
const COMMAND: &str = "command: ";

/// A field of an error with all its lines, or a plain line.
struct Part<'a> {
    field: Field,
    /// The program's name or the log's prefix, and the mark.
    prefix: &'a str,
    content: String,
}

/// The text without values of users and without secrets. Lines with nothing else are left out.
#[must_use]
pub fn redact(text: &str) -> String {
    let shown = hide_secrets(text);
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (original, shown) in text.lines().zip(shown.lines()) {
        let current = parts.last().map_or(Field::Plain, |part| part.field);
        let line = match begins(original, current) {
            // A context is needed whatever its functions are called, and never shown.
            Some((_, Field::Context)) => original,
            None if current == Field::Context => original,
            _ => shown,
        };
        match begins(line, current) {
            Some((at, field)) => {
                parts.push(Part { field, prefix: &line[..at], content: line[at..].to_owned() });
            }
            None => match parts.last_mut() {
                Some(part) if current != Field::Plain => part.content.extend(["\n", line]),
                _ => parts.push(Part { field: Field::Plain, prefix: "", content: line.to_owned() }),
            },
        }
    }
    let redacted =
        parts.iter().enumerate().filter_map(|(at, part)| part.redacted(raised_in(&parts[at + 1..])));
    redacted.collect::<Vec<_>>().join("\n")
}

/// What is shown in place of the message before these parts.
fn raised_in(following: &[Part<'_>]) -> Option<String> {
    let of_error = following.iter().take_while(|part| !matches!(part.field, Field::Message | Field::Plain));
    of_error.filter(|part| part.field == Field::Context).find_map(|part| raised(&part.content))
}

impl Part<'_> {
    fn redacted(&self, raised: Option<String>) -> Option<String> {
        let content = match (self.field, raised) {
            (Field::Message, Some(raised)) => format!(" {raised}"),
            _ => self.content_without_values()?,
        };
        Some(format!("{}{content}", self.prefix))
    }

    fn content_without_values(&self) -> Option<String> {
        Some(match self.field {
            Field::Hidden | Field::Context => return None,
            Field::Statement => redact_statement(&self.content),
            // Names of programs, files and databases, in quotes.
            Field::Plain if self.content.starts_with(COMMAND) => self.content.clone(),
            Field::Plain | Field::Message => redact_message(&self.content, None),
        })
    }
}

/// The field that a line begins within `current`, and where its content begins; `None` if the line continues that.
fn begins(line: &str, current: Field) -> Option<(usize, Field)> {
    if let Some((at, length, field)) = first_mark(line) {
        // A row or a statement may contain a mark of its own: there it counts only where a program or a log puts it.
        let before = &line[..at];
        let is_own = before.is_empty() || before.ends_with(": ") || before.ends_with("] ");
        if is_own || !matches!(current, Field::Hidden | Field::Context | Field::Statement) {
            return Some(innermost(line, at + length, field));
        }
    }
    is_of_program(line).then_some((0, Field::Plain))
}

/// Of `pg_restore: error: could not execute query: ERROR:  …` the second message, of `pg_dump: detail: Query was: …` the
/// statement.
fn innermost(line: &str, content: usize, field: Field) -> (usize, Field) {
    let rest = &line[content..];
    match first_mark(rest) {
        Some((at, length, inner)) if inner == Field::Message || rest[..at].trim().is_empty() => {
            innermost(line, content + at + length, inner)
        }
        _ => (content, field),
    }
}

fn first_mark(line: &str) -> Option<(usize, usize, Field)> {
    let found = MARKS.iter().filter_map(|(mark, field)| {
        let at = line.find(mark)?;
        // The position in a statement is at the beginning only.
        (*mark != "LINE " || at == 0).then_some((at, mark.len(), *field))
    });
    found.min_by_key(|(at, _, _)| *at)
}

/// Whether a program reports something else than the fields of an error, as in `pg_restore: creating TABLE "public.t"`.
fn is_of_program(line: &str) -> bool {
    const PROGRAMS: [&str; 9] = [
        COMMAND,
        "pg_restore: ",
        "pg_dump: ",
        "pg_dumpall: ",
        "pg_ctl: ",
        "psql:",
        "initdb: ",
        "vacuumdb: ",
        "postgres: ",
    ];
    PROGRAMS.iter().any(|program| line.starts_with(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_the_output_of_a_restore_are_hidden_and_names_are_shown() {
        let output = "pg_restore: while PROCESSING TOC:\n\
                      pg_restore: from TOC entry 3012; 0 16391 TABLE DATA \"users\" postgres\n\
                      pg_restore: error: could not execute query: ERROR:  could not create unique index \"users_email_key\"\n\
                      DETAIL:  Key (email)=(ann@example.com) is duplicated.\n\
                      CONTEXT:  COPY users, line 1: \"ann@example.com\n\
                      of two lines\"\n\
                      Command was: CREATE UNIQUE INDEX \"users_email_key\" ON \"users\" (\"email\") WHERE a <> 'hunt\n\
                      er2';\n\
                      pg_restore: creating INDEX \"public.users_name\"\n";
        let shown = redact(output);
        for hidden in ["ann@", "of two lines", "hunt", "er2"] {
            assert!(!shown.contains(hidden), "{hidden} in:\n{shown}");
        }
        for kept in ["could not create unique index \"users_email_key\"", "WHERE a <> '…';", "creating INDEX"]
        {
            assert!(shown.contains(kept), "{kept} not in:\n{shown}");
        }
    }

    #[test]
    fn values_in_the_log_of_a_server_are_hidden() {
        let log = "2026-11-29 19:00:01 UTC [42] ERROR:  invalid input syntax for type integer: \"hunter2\"\n\
                   2026-11-29 19:00:01 UTC [42] QUERY:  SELECT 'hunter2'::int\n\
                   2026-11-29 19:00:01 UTC [42] STATEMENT:  SELECT f('hunter2');\n\
                   2026-11-29 19:00:02 UTC [1] LOG:  database system is shut down\n";
        assert_eq!(
            redact(log),
            "2026-11-29 19:00:01 UTC [42] ERROR:  invalid input syntax for type integer: \"…\"\n\
             2026-11-29 19:00:01 UTC [42] STATEMENT:  SELECT f('…');\n\
             2026-11-29 19:00:02 UTC [1] LOG:  database system is shut down"
        );
    }

    #[test]
    fn refused_settings_are_named_without_their_values() {
        let output = "LOG:  unrecognized configuration parameter \"old_snapshot_threshold\" in file \"/tmp/merged.conf\" line 3\n\
                      LOG:  invalid value for parameter \"work_mem\": \"hunter2\"\n\
                      HINT:  Valid units are \"B\", \"kB\".\n\
                      FATAL:  configuration file \"/tmp/merged.conf\" contains errors\n";
        let shown = redact(output);
        assert!(
            shown.contains("\"old_snapshot_threshold\"") && shown.contains("\"work_mem\": \"…\""),
            "{shown}"
        );
        assert!(
            !shown.contains("hunter2") && shown.ends_with("\"/tmp/merged.conf\" contains errors"),
            "{shown}"
        );
    }

    #[test]
    fn position_in_a_statement_is_left_out() {
        let shown = redact(
            "psql:/tmp/globals.sql:40: ERROR:  no such role\nLINE 1: SELECT 'hunter2'\n               ^\n",
        );
        assert_eq!(shown, "psql:/tmp/globals.sql:40: ERROR:  no such role");
    }

    #[test]
    fn statement_of_a_failed_dump_is_shown() {
        let shown = redact(
            "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\n\
             pg_dump: detail: Query was: LOCK TABLE \"public\".\"t\" IN ACCESS SHARE MODE\n",
        );
        assert!(shown.contains("Query was: LOCK TABLE \"public\".\"t\""), "{shown}");
    }

    #[test]
    fn value_of_several_lines_is_hidden() {
        let shown = redact("ERROR:  invalid input syntax for type json: \"{\nhunter2\n}\"\n");
        assert_eq!(shown, "ERROR:  invalid input syntax for type json: \"…\"");
        let shown = redact("DETAIL:  a\nhunter2 ERROR: b\nHINT:  c\nERROR:  d\n");
        assert_eq!(shown, "ERROR:  d");
    }

    #[test]
    fn message_that_code_of_a_user_has_raised_is_hidden() {
        let output = "pg_restore: error: could not execute query: ERROR:  customer hunter2 is unknown\nof two lines\n\
                      HINT:  hunter2\n\
                      CONTEXT:  PL/pgSQL function s.key_password(integer) line 3 at RAISE\n\
                      SQL function \"outer\" during inlining\n\
                      Command was: CREATE TABLE \"s\".\"t\" ();\n\
                      pg_restore: error: could not execute query: ERROR:  relation \"gone\" does not exist\n\
                      CONTEXT:  PL/pgSQL function s.f() line 1 at SQL statement\n";
        assert_eq!(
            redact(output),
            "pg_restore: error: could not execute query: ERROR: raised by PL/pgSQL function s.key_password(integer) \
             line 3 at RAISE; its text is not shown\n\
             Command was: CREATE TABLE \"s\".\"t\" ();\n\
             pg_restore: error: could not execute query: ERROR:  relation \"gone\" does not exist"
        );
        let log = "2026-11-29 19:00:01 UTC [42] ERROR:  hunter2\n\
                   2026-11-29 19:00:01 UTC [42] CONTEXT:  PL/Perl function \"f\"\n\
                   2026-11-29 19:00:01 UTC [42] STATEMENT:  SELECT 1\n\
                   2026-11-29 19:00:02 UTC [1] LOG:  database system is shut down\n";
        let shown = redact(log);
        assert!(!shown.contains("hunter2") && shown.contains("shut down"), "{shown}");
    }

    #[test]
    fn ordinary_output_is_unchanged() {
        let output = "Checking cluster versions                 ok\nexit status: 1\nLet's go";
        assert_eq!(redact(output), output);
    }
}
