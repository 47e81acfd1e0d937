//! Errors whose message code of a user has written, with whatever values. A server tells them by their SQLSTATE, which
//! programs and logs do not print: there the context tells them.

/// What begins the context of an error that the server itself has raised, while it ran such code or not. Any other context is
/// that of another procedural language, whose errors have what the code has written.
const OF_SERVER: [&str; 12] = [
    "COPY ",
    "JSON data, ",
    "PL/pgSQL assignment ",
    "PL/pgSQL function ",
    "SQL expression ",
    "SQL function ",
    "SQL statement ",
    "compilation of PL/pgSQL function ",
    "during ",
    "extension script ",
    "referenced column: ",
    "while ",
];

/// The statements of PL/pgSQL that raise an error of the user's, at the end of a line of the context.
const RAISING: [&str; 2] = [" at RAISE", " at ASSERT"];

/// What is shown in place of the message of an error with this context; `None` if the message is the server's own. The
/// context is the content of its field, and may contain further ones.
#[must_use]
pub fn raised(context: &str) -> Option<String> {
    let raising = context.lines().map(str::trim).find(|line| RAISING.iter().any(|end| line.ends_with(end)));
    if let Some(line) = raising {
        // A name, its arguments and the line in its source. Any other line may be of a statement, with values.
        let function = line.trim_start_matches("CONTEXT:").trim();
        let is_frame = function.starts_with("PL/pgSQL function ") && !function.contains('\'');
        let by = if is_frame { function } else { "code of a user" };
        return Some(format!("raised by {by}; its text is not shown"));
    }
    let is_of_server = |field: &str| OF_SERVER.iter().any(|begin| field.trim_start().starts_with(begin));
    let is_raised = !context.split("CONTEXT:").all(|field| field.trim().is_empty() || is_of_server(field));
    is_raised.then(|| "raised by code of a user; its text is not shown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const OF_USER: &str = "raised by code of a user; its text is not shown";

    #[rstest]
    #[case::raise(
        "PL/pgSQL function s.key(integer) line 3 at RAISE\nSQL statement \"SELECT s.key(1)\"",
        "raised by PL/pgSQL function s.key(integer) line 3 at RAISE; its text is not shown"
    )]
    #[case::assertion(
        "  PL/pgSQL function inline_code_block line 1 at ASSERT",
        "raised by PL/pgSQL function inline_code_block line 1 at ASSERT; its text is not shown"
    )]
    #[case::python("Traceback (most recent call last):\n  PL/Python function \"f\", line 2", OF_USER)]
    #[case::perl("PL/Perl function \"f\"", OF_USER)]
    #[case::r("In PL/R function f", OF_USER)]
    #[case::message_with_a_context_of_its_own(
        "SQL function \"f\"\nCONTEXT:  PL/Perl function \"f\"",
        OF_USER
    )]
    #[case::statement_that_looks_like_one("SQL statement \"SELECT 'hunter2' at RAISE", OF_USER)]
    fn message_of_a_users_code_is_told_by_its_context(#[case] context: &str, #[case] shown: &str) {
        assert_eq!(raised(context).as_deref(), Some(shown));
    }

    #[rstest]
    #[case("PL/pgSQL function public.f(integer) line 3 at SQL statement")]
    #[case("SQL function \"f\" during inlining")]
    #[case("SQL statement \"SELECT a\nFROM b\"\nPL/pgSQL function f() line 1 at EXECUTE")]
    #[case("COPY users, line 1: \"x\"")]
    #[case("while inserting index tuple (0,1) in relation \"users\"")]
    fn message_of_the_server_within_a_users_code_is_shown(#[case] context: &str) {
        assert_eq!(raised(context), None);
    }
}
