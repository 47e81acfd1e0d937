//! A message of a server or a program, without the values that it quotes.
//!
//! Messages quote names and values alike: `column "a" does not exist`, `invalid input syntax for type integer: "a"`. A
//! quoted text is shown if the word before it says what kind of object it names, and hidden otherwise.

use super::HIDDEN;

/// What a quoted name may be of: the word before it.
#[rustfmt::skip]
const KINDS: [&str; 60] = [
    "aggregate", "attribute", "cast", "class", "collation", "column", "configuration", "constraint",
    "conversion", "database", "dictionary", "directory", "domain", "encoding", "extension", "family", "file",
    "function", "host", "index", "language", "library", "locale", "method", "module", "new", "old",
    "operator", "option", "origin", "parameter", "parser", "partition", "plugin", "policy", "procedure",
    "program", "provider", "publication", "relation", "role", "routine", "rule", "schema", "sequence",
    "server", "setting", "slot", "socket", "statistics", "subscription", "table", "tablespace", "template",
    "trigger", "type", "user", "variable", "view", "wrapper",
];

/// The message with values hidden. Of a message that is about a value only those quoted texts are shown that are among
/// `names`; of others, without `names`, those that follow a kind of object.
#[must_use]
pub fn redact_message(message: &str, names: Option<&[&str]>) -> String {
    let mut shown = String::new();
    let mut rest = without_bytes(without_unquoted_value(message));
    while let Some((before, after)) = rest.split_once('"') {
        let Some(quoted) = closed(after) else {
            // Without an end everything belongs to it.
            shown.extend([before, "\"", HIDDEN, "\""]);
            return shown;
        };
        let is_name = match names {
            Some(names) => names.contains(&quoted),
            None => follows_kind(before) || is_token(before, quoted),
        };
        if !is_name {
            // A value may contain quotes: its end is the last one, if it is not the quote of a name after it.
            let end = after.rfind('"').map_or(after.len(), |end| end + 1);
            shown.extend([before, "\"", HIDDEN, "\"", &after[end..]]);
            return shown;
        }
        shown.extend([before, "\"", quoted, "\""]);
        rest = after[quoted.len() + 1..].to_owned();
    }
    shown + &rest
}

fn closed(after: &str) -> Option<&str> {
    after.split_once('"').map(|(quoted, _)| quoted)
}

/// What may be between a kind of object and its name, apart from blanks.
const CONNECTING: [&str; 4] = [" name:", " name", " named", " at"];

/// Whether the text ends with a kind of object, as in `column "`, `invalid locale name: "` and `server at "`. After another
/// colon comes a value.
fn follows_kind(before: &str) -> bool {
    let before = before.trim_end();
    let before = CONNECTING.iter().find_map(|words| before.strip_suffix(words)).unwrap_or(before);
    let word = before.trim_end().rsplit(|c: char| c.is_whitespace() || c == '-' || c == '(').next();
    word.is_some_and(is_kind)
}

fn is_kind(word: &str) -> bool {
    KINDS.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

/// Whether the quoted text is a token of SQL in `syntax error at or near "`, and not a literal.
fn is_token(before: &str, quoted: &str) -> bool {
    before.ends_with("at or near ") && !quoted.contains(['\'', '$'])
}

/// Without the value in `date field value out of range: 2024-13-01`, which is not quoted.
fn without_unquoted_value(message: &str) -> String {
    const SIGN: &str = "out of range: ";
    match message.split_once(SIGN) {
        Some((before, value)) if !value.starts_with('"') => format!("{before}{SIGN}{HIDDEN}"),
        _ => message.to_owned(),
    }
}

/// Without the bytes of a text in `invalid byte sequence for encoding "UTF8": 0xe9 0x20`.
fn without_bytes(message: String) -> String {
    if !message.contains("byte sequence") {
        return message;
    }
    let is_byte = |word: &str| word.len() == 4 && word.starts_with("0x");
    let mut words: Vec<_> =
        message.split(' ').map(|word| if is_byte(word) { HIDDEN } else { word }).collect();
    words.dedup_by(|next, word| *next == HIDDEN && *word == HIDDEN);
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn kinds_are_sorted_for_the_search() {
        assert!(KINDS.is_sorted());
    }

    /// Messages of servers 13 to 18.
    #[rstest]
    #[case("column b.buffers_backend does not exist")]
    #[case(r#"column "email" of relation "users" does not exist"#)]
    #[case(r#"relation "shop.orders" does not exist"#)]
    #[case(r#"could not create unique index "users_email_key""#)]
    #[case(r#"duplicate key value violates unique constraint "users_email_key""#)]
    #[case(r#"null value in column "email" of relation "users" violates not-null constraint"#)]
    #[case(r#"unrecognized configuration parameter "old_snapshot_threshold""#)]
    #[case(r#"extension "postgis" is not available"#)]
    #[case(r#"could not open extension control file "/usr/share/postgresql/17/extension/x.control": No such file or directory"#)]
    #[case(r#"could not access file "$libdir/postgis-3": No such file or directory"#)]
    #[case(r#"could not load library "/usr/lib/x.so": /usr/lib/x.so: undefined symbol: elog_start"#)]
    #[case(r#"invalid LC_COLLATE locale name: "xx_YY""#)]
    #[case(r#"invalid locale name "xx_YY""#)]
    #[case(r#"permission denied to grant role "a""#)]
    #[case(r#"collation "public.german" has version mismatch"#)]
    #[case(r#"item order invariant violated for index "words_w""#)]
    #[case(r#"heap tuple (0,1) from table "words" lacks matching index tuple within index "words_w""#)]
    #[case(r#"syntax error at or near "WINDOW""#)]
    #[case(r#"could not extend file "base/16384/16390": No space left on device"#)]
    #[case("canceling statement due to lock timeout")]
    #[case(r#"there is no built-in function named "pg_stop_backup""#)]
    #[case(r#"type "floatmultirange" already exists"#)]
    #[case(r#"unrecognized parameter "bogus""#)]
    #[case(r#"security label provider "gone" is not loaded"#)]
    #[case(
        r#"connection to server at "10.0.0.1", port 5432 failed: FATAL:  database "Zoë's" does not exist"#
    )]
    #[case(
        r#"connection to server on socket "/tmp/.s.PGSQL.5432" failed: FATAL:  role "a b" does not exist"#
    )]
    #[case("operator does not exist: !! bigint")]
    #[case(r#"foreign key constraint "t_f_fkey" cannot be implemented"#)]
    #[case("could not find trigger 16402")]
    fn names_are_shown(#[case] message: &str) {
        assert_eq!(redact_message(message, None), message);
    }

    #[rstest]
    #[case(
        r#"invalid input syntax for type integer: "secret""#,
        r#"invalid input syntax for type integer: "…""#
    )]
    #[case(
        r#"invalid input syntax for type integer: "a" of table "secret""#,
        r#"invalid input syntax for type integer: "…""#
    )]
    #[case(
        r#"value "99999" is out of range for type smallint"#,
        r#"value "…" is out of range for type smallint"#
    )]
    #[case(r#"invalid input value for enum color: "secret""#, r#"invalid input value for enum color: "…""#)]
    #[case(
        r#"date/time field value out of range: "31.12.1950""#,
        r#"date/time field value out of range: "…""#
    )]
    #[case("date field value out of range: 1950-13-31", "date field value out of range: …")]
    #[case(r#"malformed array literal: "{a,"b"""#, r#"malformed array literal: "…""#)]
    #[case(r#"malformed array literal: "{a"#, r#"malformed array literal: "…""#)]
    #[case(
        r#"invalid value for parameter "work_mem": "secret""#,
        r#"invalid value for parameter "work_mem": "…""#
    )]
    #[case(
        r#"invalid byte sequence for encoding "UTF8": 0xe9 0x20 0x41"#,
        r#"invalid byte sequence for encoding "UTF8": …"#
    )]
    #[case(
        r#"character with byte sequence 0xe2 0x82 0xac in encoding "UTF8" has no equivalent in encoding "LATIN1""#,
        r#"character with byte sequence … in encoding "UTF8" has no equivalent in encoding "LATIN1""#
    )]
    #[case(r#"time zone "secret" not recognized"#, r#"time zone "…" not recognized"#)]
    #[case(r#"invalid value "secret" for "YYYY""#, r#"invalid value "…""#)]
    #[case(r#"syntax error at or near "'secret'""#, r#"syntax error at or near "…""#)]
    #[case(r#"invalid hexadecimal digit: "s""#, r#"invalid hexadecimal digit: "…""#)]
    #[case(r#"Token "secret" is invalid."#, r#"Token "…" is invalid."#)]
    fn values_are_hidden(#[case] message: &str, #[case] expected: &str) {
        assert_eq!(redact_message(message, None), expected);
    }

    #[test]
    fn message_about_a_value_shows_the_names_of_its_fields_only() {
        let message = r#"new row for relation "users" violates check constraint "adult""#;
        assert_eq!(redact_message(message, Some(&["public", "users", "adult"])), message);
        let forged = r#"invalid input syntax for type t: "x" in column "secret""#;
        assert_eq!(redact_message(forged, Some(&["users"])), r#"invalid input syntax for type t: "…""#);
    }
}
