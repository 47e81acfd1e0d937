//! An SQL statement, without its literals: definitions may compare with data of users, or hold passwords.

use super::HIDDEN;

/// The statement with the content of its string literals hidden. Names in double quotes and comments are shown.
#[must_use]
pub fn redact_statement(statement: &str) -> String {
    let mut shown = String::new();
    let mut rest = statement;
    while let Some(at) = rest.find(['\'', '"', '$']) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        let (text, after) = match from.as_bytes()[0] {
            b'"' => {
                let (name, after) = from.split_at(quoted_end(from, '"', false));
                (name.to_owned(), after)
            }
            b'\'' => {
                // With E in front a backslash escapes. Taking one for an escape where it is none hides more.
                let escapes = before.ends_with(['e', 'E']);
                (format!("'{HIDDEN}'"), &from[quoted_end(from, '\'', escapes)..])
            }
            _ => match dollar_tag(from) {
                Some(tag) => {
                    let end = from[tag.len()..].find(tag).map_or(from.len(), |end| end + 2 * tag.len());
                    (format!("{tag}{HIDDEN}{tag}"), &from[end..])
                }
                None => ("$".to_owned(), &from[1..]),
            },
        };
        shown.push_str(&text);
        rest = after;
    }
    shown + rest
}

/// Length of a quoted text with its quotes; two quotes stand for one. One that is cut off extends to the end.
fn quoted_end(text: &str, quote: char, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if escapes && character == '\\' {
            characters.next();
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

/// The tag of a dollar-quoted literal, `$$` or `$name$`. A parameter such as `$1` has none.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 2;
    let name = &text[1..end - 1];
    let valid = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    valid.then_some(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("CREATE VIEW \"public\".\"it's\" AS", "CREATE VIEW \"public\".\"it's\" AS")]
    #[case("CHECK (a <> 'secret')", "CHECK (a <> '…')")]
    #[case("SELECT 'it''s', \"b\"\"c'd\", 'x'", "SELECT '…', \"b\"\"c'd\", '…'")]
    #[case(r"SELECT E'a\'secret', 1", "SELECT E'…', 1")]
    #[case(r"SELECT 'C:\', 1", "SELECT '…', 1")]
    #[case("AS $$ secret $x$ 'a' $$ LANGUAGE sql", "AS $$…$$ LANGUAGE sql")]
    #[case("AS $body$ $$ secret $body$;", "AS $body$…$body$;")]
    #[case("WHERE a = $1 AND b = $2", "WHERE a = $1 AND b = $2")]
    #[case("OPTIONS (\"password\" 'ses", "OPTIONS (\"password\" '…'")]
    #[case("AS $$ cut off", "AS $$…$$")]
    #[case("COMMENT ON TABLE \"ä\" IS 'größe'", "COMMENT ON TABLE \"ä\" IS '…'")]
    fn literals_of_a_statement_are_hidden(#[case] statement: &str, #[case] expected: &str) {
        assert_eq!(redact_statement(statement), expected);
    }
}
