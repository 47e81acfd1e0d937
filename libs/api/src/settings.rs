//! Settings of the server as text, in the syntax of `postgresql.conf`: checked, merged and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::names::USER_CONF;

/// Length in bytes of the longest text: the object that holds it has room for little more.
pub const MAX_SETTINGS: usize = 64 << 10;

/// Exit status of `pgops-instance check-settings` if the server would not start with the settings.
pub const REJECTED_STATUS: u8 = 3;

/// Settings that name the files of the server, which pgops chooses.
const RESERVED: [&str; 5] = ["config_file", "data_directory", "external_pid_file", "hba_file", "ident_file"];
/// Directives that read other files.
const DIRECTIVES: [&str; 3] = ["include", "include_dir", "include_if_exists"];

/// Why a text cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// Another file than the server's settings.
    #[error("the key \"{0}\" is unknown: put settings of the server under the key \"{USER_CONF}\"")]
    UnknownKey(String),
    /// The text has no settings.
    #[error("the key \"{USER_CONF}\" has no settings: write one on each line, such as work_mem = '8MB'")]
    Empty,
    /// The text is too long.
    #[error(
        "the settings have {0} bytes, more than {MAX_SETTINGS}: put them into a Secret and name that in configSecret"
    )]
    TooLong(usize),
    /// A line that is not a setting.
    #[error("line {line} (\"{text}\") is not a setting: write name = 'value'")]
    Malformed {
        /// Number of the line, from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// A setting that pgops makes.
    #[error("line {line} sets {name}, which pgops sets itself: remove it")]
    Reserved {
        /// Number of the line, from 1.
        line: usize,
        /// The setting, or the directive.
        name: String,
    },
}

/// The text under the key of the server's settings, which must be the only one.
pub fn of_map(map: &BTreeMap<String, String>) -> Result<&str, SettingsError> {
    if let Some(key) = map.keys().find(|key| *key != USER_CONF) {
        return Err(SettingsError::UnknownKey(crate::bounded(key.as_str(), 100, "")));
    }
    Ok(map.get(USER_CONF).map_or("", String::as_str))
}

/// Fails unless each line is a setting that users may make, a comment or empty.
pub fn check(text: &str) -> Result<(), SettingsError> {
    if text.len() > MAX_SETTINGS {
        return Err(SettingsError::TooLong(text.len()));
    }
    let mut is_empty = true;
    for (index, line) in text.lines().enumerate() {
        let Some(name) = name(index, line)? else { continue };
        is_empty = false;
        if RESERVED.contains(&name.as_str()) || DIRECTIVES.contains(&name.as_str()) {
            return Err(SettingsError::Reserved { line: index + 1, name });
        }
    }
    if is_empty { Err(SettingsError::Empty) } else { Ok(()) }
}

/// Fails if a line of a file sets what pgops sets itself. What is not a setting is left to the server, which may read other files
/// too.
pub fn check_file(text: &str) -> Result<(), SettingsError> {
    for (index, line) in text.lines().enumerate() {
        if let Ok(Some(name)) = name(index, line)
            && RESERVED.contains(&name.as_str())
        {
            return Err(SettingsError::Reserved { line: index + 1, name });
        }
    }
    Ok(())
}

/// The settings of `base`, with those of `change` instead of earlier ones of the same names, or after them.
pub fn merge(base: &str, change: &str) -> Result<String, SettingsError> {
    let mut changed = BTreeMap::new();
    let mut order = Vec::new();
    for (index, line) in change.lines().enumerate() {
        if let Some(name) = name(index, line)?
            && changed.insert(name.clone(), line.trim()).is_none()
        {
            order.push(name);
        }
    }
    let mut merged = String::new();
    for (index, line) in base.lines().enumerate() {
        match name(index, line) {
            // The last of several lines counts.
            Ok(Some(name)) if changed.contains_key(&name) => {}
            _ => {
                let _ = writeln!(merged, "{line}");
            }
        }
    }
    for name in order {
        let _ = writeln!(merged, "{}", changed[&name]);
    }
    Ok(merged)
}

/// Names of the settings in a text, in lower case. Other lines have none.
#[must_use]
pub fn names(text: &str) -> BTreeSet<String> {
    text.lines().enumerate().filter_map(|(index, line)| name(index, line).ok().flatten()).collect()
}

/// The settings of a text, by their names in lower case; what is not a setting is left out.
pub fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let name = name(index, line).ok()??;
        let value = line
            .trim()
            .get(name.len()..)?
            .trim_start_matches(|char: char| char == '=' || char.is_whitespace());
        Some((name, unquoted(value)))
    })
}

/// A value without its quotes, and without a comment after it.
fn unquoted(text: &str) -> String {
    let Some(quoted) = text.strip_prefix('\'') else {
        return text
            .split(|char: char| char == '#' || char.is_whitespace())
            .next()
            .unwrap_or_default()
            .to_owned();
    };
    let mut value = String::new();
    let mut chars = quoted.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\'' if chars.peek() == Some(&'\'') => value.extend(chars.next()),
            '\'' => break,
            '\\' => value.extend(chars.next()),
            char => value.push(char),
        }
    }
    value
}

/// Identifies a text, without telling it.
#[must_use]
pub fn digest(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..16])
}

/// The name that a line sets, in lower case, as the server compares names; none of a comment or an empty line.
fn name(index: usize, line: &str) -> Result<Option<String>, SettingsError> {
    let text = line.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let is_part = |char: char| char.is_ascii_alphanumeric() || "_.$".contains(char);
    let end = text.find(|char| !is_part(char)).unwrap_or(text.len());
    let (name, value) = text.split_at(end);
    let begins = name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_');
    let value = value.trim_start().trim_start_matches('=').trim_start();
    let has_value = !value.is_empty() && !value.starts_with('#');
    if !begins || !has_value || text.contains('\0') {
        return Err(SettingsError::Malformed { line: index + 1, text: crate::bounded(text, 60, "") });
    }
    Ok(Some(name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn later_settings_take_the_place_of_those_of_the_same_name() {
        let base = "# memory\nwork_mem = '4MB'\nshared_buffers=128MB\n";
        let merged =
            merge(base, "Work_Mem = '8MB' # more\nmax_connections 50\nmax_connections 60\n").unwrap();
        assert_eq!(merged, "# memory\nshared_buffers=128MB\nWork_Mem = '8MB' # more\nmax_connections 60\n");
        assert_eq!(merge("", "a.b = 1").unwrap(), "a.b = 1\n");
    }

    #[rstest]
    #[case("work_mem = '8MB'\n\n# a comment\n", None)]
    #[case("work_mem 8MB", None)]
    #[case("", Some("has no settings"))]
    #[case("# nothing\n", Some("has no settings"))]
    #[case("work_mem =\n", Some("line 1 (\"work_mem =\") is not a setting"))]
    #[case("a = 1\n- b: 2\n", Some("line 2 (\"- b: 2\") is not a setting"))]
    #[case("Data_Directory = '/tmp'", Some("line 1 sets data_directory, which pgops sets itself"))]
    #[case("include '/etc/passwd'", Some("line 1 sets include"))]
    fn text_must_be_settings_that_users_may_make(#[case] text: &str, #[case] error: Option<&str>) {
        let found = check(text).err().map(|error| error.to_string());
        match (found, error) {
            (None, None) => {}
            (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[rstest]
    #[case("work_mem = '8MB'\ninclude 'more.conf'\n- b: 2\n", None)]
    #[case(
        "a = 1\nHba_File = '/tmp/hba'\n",
        Some("line 2 sets hba_file, which pgops sets itself: remove it")
    )]
    #[case(
        "data_directory '/var/pv/13/data'",
        Some("line 1 sets data_directory, which pgops sets itself: remove it")
    )]
    fn file_must_not_name_the_servers_own_files(#[case] text: &str, #[case] error: Option<&str>) {
        assert_eq!(check_file(text).err().map(|error| error.to_string()).as_deref(), error);
    }

    #[test]
    fn only_the_key_of_the_server_is_known_and_the_size_is_bounded() {
        let map = |key: &str| [(key.to_owned(), "a = 1".to_owned())].into();
        assert_eq!(of_map(&map("user.conf")), Ok("a = 1"));
        assert_eq!(of_map(&BTreeMap::new()), Ok(""));
        assert_eq!(of_map(&map("pg_hba.conf")), Err(SettingsError::UnknownKey("pg_hba.conf".to_owned())));
        assert!(matches!(check(&"a".repeat(MAX_SETTINGS + 1)), Err(SettingsError::TooLong(_))));
    }

    #[test]
    fn names_are_those_of_the_settings_in_lower_case() {
        let found = names("# memory\nWork_Mem = '8MB'\n\nmax_connections 50\n- b: 2\nmax_connections 60\n");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["max_connections", "work_mem"]);
    }

    #[test]
    fn values_are_read_without_quotes_and_comments() {
        let text = "A = 'it''s \\\\ # all' # more\nb 1# one\n# c = 2\nd=\n e='x\n";
        let expected = [("a", "it's \\ # all"), ("b", "1"), ("e", "x")];
        let pairs: Vec<_> = pairs(text).collect();
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn digest_tells_texts_apart() {
        assert_eq!(digest("a"), digest("a"));
        assert_ne!(digest("a"), digest("b"));
        assert_eq!(digest("").len(), 32);
    }
}
