//! Hides passwords in a dump: those of user mappings, of other options of foreign data, and of the connections of subscriptions.
//!
//! They are overwritten: the length stays the same, so every offset and length in the archive remains valid. What is left is valid,
//! so a restore accepts it.

use std::ops::Range;

use regex::bytes::Regex;

use super::{ArchiveError, entries};

/// The columns of system catalogs that a restore of such a dump gives other values.
pub const HIDDEN_COLUMNS: [(&str, &str); 5] = [
    ("pg_foreign_data_wrapper", "fdwoptions"),
    ("pg_foreign_server", "srvoptions"),
    ("pg_foreign_table", "ftoptions"),
    ("pg_subscription", "subconninfo"),
    ("pg_user_mapping", "umoptions"),
];

/// What has options, as the table of contents calls it.
const WITH_OPTIONS: [&[u8]; 4] = [b"FOREIGN DATA WRAPPER", b"FOREIGN TABLE", b"SERVER", b"USER MAPPING"];
const SUBSCRIPTION: &[u8] = b"SUBSCRIPTION";

/// What is in the name of an option with a secret. Wrappers of all kinds have their own.
const SECRET_NAMES: [&str; 8] =
    ["pass", "pwd", "secret", "token", "credential", "access_key", "private_key", "api_key"];
/// A switch is not a secret: `password_required`.
const SWITCHES: [&[u8]; 8] = [b"true", b"false", b"on", b"off", b"yes", b"no", b"0", b"1"];

/// The dump could not be read, or not be searched.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("failed to compile the pattern of options")]
    Pattern(#[from] regex::Error),
}

/// Overwrites the secrets in an archive.
pub fn hide_secrets(archive: &mut [u8]) -> Result<(), SecretsError> {
    let patterns = Patterns::new()?;
    for entry in entries(archive)? {
        let description = archive.get(entry.description).unwrap_or_default();
        let is_subscription = description == SUBSCRIPTION;
        if is_subscription || WITH_OPTIONS.contains(&description) {
            let definition = archive.get_mut(entry.definition).unwrap_or_default();
            let secrets = if is_subscription {
                patterns.of_connection(definition)
            } else {
                patterns.of_options(definition)
            };
            for secret in secrets {
                definition.get_mut(secret).unwrap_or_default().fill(b'x');
            }
        }
    }
    Ok(())
}

/// All of it is in the database's own encoding, so the bytes may not be valid UTF-8 (`-u`).
struct Patterns {
    /// The name of an option, quoted or not, and its value.
    option: Regex,
    /// The connection string of a subscription.
    connection: Regex,
    /// A secret in a connection string: between quotes, or up to white space. In a literal its quotes are doubled.
    keyword: Regex,
    /// The same in a literal with escapes, where backslashes are doubled too.
    escaped_keyword: Regex,
    /// The password in a URI.
    uri: Regex,
}

/// A literal: with escapes, or without.
const LITERAL: &str = r"(?:E'((?:[^'\\]|''|\\.)*)'|'((?:[^']|'')*)')";

impl Patterns {
    fn new() -> Result<Self, regex::Error> {
        let name = r#"(?:"((?:[^"]|"")+)"|([A-Za-z_][A-Za-z0-9_$]*))"#;
        let keyword = r"(?si-u)(?:pass|secret|token)(?:word)?\s*=\s*";
        let plain = r"(?:''((?:\\\\|\\''|[^'\\])*)''|((?:\\.|[^\s'\\])+))";
        let escaped = r"(?:''((?:\\\\\\\\|\\\\''|[^'\\])*)''|((?:\\\\.|[^\s'\\])+))";
        Ok(Self {
            option: Regex::new(&format!("(?s-u){name} +{LITERAL}"))?,
            connection: Regex::new(&format!("(?s-u)CONNECTION +{LITERAL}"))?,
            keyword: Regex::new(&format!("{keyword}{plain}"))?,
            escaped_keyword: Regex::new(&format!("{keyword}{escaped}"))?,
            uri: Regex::new(r"(?si-u)[a-z][a-z0-9+.-]*://[^:/?#@\s']*:([^@/?#\s']*)@")?,
        })
    }

    /// The secrets in the options of a definition.
    fn of_options(&self, definition: &[u8]) -> Vec<Range<usize>> {
        let mut secrets = Vec::new();
        for found in self.option.captures_iter(definition) {
            let Some(value) = found.get(3).or(found.get(4)) else { continue };
            let name = found.get(1).or(found.get(2)).map(|name| name.as_bytes().to_ascii_lowercase());
            if name.is_some_and(|name| is_secret(&name)) && !SWITCHES.contains(&value.as_bytes()) {
                secrets.push(value.range());
            } else {
                secrets.extend(found_in(value.as_bytes(), value.start(), &self.uri));
            }
        }
        secrets
    }

    /// Those in the connection string of a subscription.
    fn of_connection(&self, definition: &[u8]) -> Vec<Range<usize>> {
        let Some(found) = self.connection.captures(definition) else { return Vec::new() };
        let (string, keyword) = match (found.get(1), found.get(2)) {
            (Some(escaped), _) => (escaped, &self.escaped_keyword),
            (None, Some(plain)) => (plain, &self.keyword),
            (None, None) => return Vec::new(),
        };
        let found = |pattern| found_in(string.as_bytes(), string.start(), pattern);
        [found(keyword), found(&self.uri)].concat()
    }
}

/// The groups of a pattern in a part of a definition that begins at `start`.
fn found_in(part: &[u8], start: usize, pattern: &Regex) -> Vec<Range<usize>> {
    let groups = pattern.captures_iter(part).filter_map(|found| found.iter().skip(1).flatten().next());
    groups.map(|group| start + group.start()..start + group.end()).collect()
}

fn is_secret(name: &[u8]) -> bool {
    SECRET_NAMES.iter().any(|part| name.windows(part.len()).any(|window| window == part.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::archive;
    use super::*;
    use rstest::rstest;

    /// A definition after its secrets are hidden.
    fn hidden(description: &str, definition: &str) -> String {
        let mut archive = archive(16, &[("TABLE", "CREATE TABLE t ();"), (description, definition)]);
        let length = archive.len();
        hide_secrets(&mut archive).unwrap();
        assert_eq!(archive.len(), length);
        let entry = entries(&archive).unwrap().remove(1);
        String::from_utf8_lossy(&archive[entry.definition]).into_owned()
    }

    #[rstest]
    #[case::user_mapping(
        "USER MAPPING",
        "CREATE USER MAPPING FOR \"app\" SERVER \"erp\" OPTIONS (\n    \"password\" 'it''s',\n    \"user\" 'bob'\n);\n",
        "CREATE USER MAPPING FOR \"app\" SERVER \"erp\" OPTIONS (\n    \"password\" 'xxxxx',\n    \"user\" 'bob'\n);\n"
    )]
    #[case::unquoted_name_and_backslash(
        "USER MAPPING",
        r"CREATE USER MAPPING FOR a SERVER b OPTIONS (user 'bob', sslpassword  E'a\\b\'c''d', password_required 'false');",
        r"CREATE USER MAPPING FOR a SERVER b OPTIONS (user 'bob', sslpassword  E'xxxxxxxxxx', password_required 'false');"
    )]
    #[case::uri_in_an_option(
        "FOREIGN TABLE",
        "CREATE FOREIGN TABLE t (a integer DEFAULT '1') SERVER m OPTIONS (db_url 'mysql://app:geheim@erp:3306/shop');",
        "CREATE FOREIGN TABLE t (a integer DEFAULT '1') SERVER m OPTIONS (db_url 'mysql://app:xxxxxx@erp:3306/shop');"
    )]
    #[case::keys(
        "SERVER",
        "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (\"AWS_Secret_Access_Key\" 'abc', region 'eu');",
        "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (\"AWS_Secret_Access_Key\" 'xxx', region 'eu');"
    )]
    #[case::subscription(
        "SUBSCRIPTION",
        "CREATE SUBSCRIPTION s CONNECTION 'host=erp password=geheim user=app' PUBLICATION p WITH (slot_name = 's');",
        "CREATE SUBSCRIPTION s CONNECTION 'host=erp password=xxxxxx user=app' PUBLICATION p WITH (slot_name = 's');"
    )]
    #[case::subscription_with_quotes(
        "SUBSCRIPTION",
        r"CREATE SUBSCRIPTION s CONNECTION 'host=erp sslpassword = ''a b\''c\\'' user=''app''' PUBLICATION p;",
        r"CREATE SUBSCRIPTION s CONNECTION 'host=erp sslpassword = ''xxxxxxxxx'' user=''app''' PUBLICATION p;"
    )]
    #[case::subscription_with_escapes(
        "SUBSCRIPTION",
        r"CREATE SUBSCRIPTION s CONNECTION E'host=erp password=''a b\\''c'' user=''app''' PUBLICATION p;",
        r"CREATE SUBSCRIPTION s CONNECTION E'host=erp password=''xxxxxxxx'' user=''app''' PUBLICATION p;"
    )]
    #[case::subscription_by_uri(
        "SUBSCRIPTION",
        "CREATE SUBSCRIPTION s CONNECTION 'postgresql://app:geheim@erp/shop?sslmode=require' PUBLICATION p;",
        "CREATE SUBSCRIPTION s CONNECTION 'postgresql://app:xxxxxx@erp/shop?sslmode=require' PUBLICATION p;"
    )]
    fn secret_is_hidden_and_the_rest_stays(
        #[case] description: &str,
        #[case] definition: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(hidden(description, definition), expected);
    }

    /// The rehearsal compares functions, also by their text.
    #[test]
    fn other_definitions_stay_whatever_they_contain() {
        let definition = "CREATE FUNCTION f() … AS $$ CREATE USER MAPPING … OPTIONS (password 'geheim') $$";
        assert_eq!(hidden("FUNCTION", definition), definition);
    }

    #[test]
    fn secret_in_any_encoding_is_hidden() {
        let bytes = b"CREATE USER MAPPING FOR a SERVER b OPTIONS (password '\xe4\xf6');";
        let secrets = Patterns::new().unwrap().of_options(bytes);
        assert_eq!(secrets.iter().map(|secret| &bytes[secret.clone()]).collect::<Vec<_>>(), [b"\xe4\xf6"]);
    }
}
