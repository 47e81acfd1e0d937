//! Programs and files that settings of the server name.

use std::collections::BTreeMap;
use std::path::Path;

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;

/// Settings whose value is a command that the server runs.
const COMMANDS: [&str; 5] = [
    "archive_command",
    "restore_command",
    "archive_cleanup_command",
    "recovery_end_command",
    "ssl_passphrase_command",
];
/// Settings that name a file of TLS, which the server reads when it starts. `ssl_crl_dir` is new in 14.
pub(super) const TLS_FILES: [&str; 6] =
    ["ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file", "ssl_crl_dir", "ssl_dh_params_file"];
/// Settings that say whether the others are in effect, and how they are read.
const OTHERS: [&str; 3] = ["archive_mode", "ssl", "data_directory"];

/// The settings of a running server that name programs and files, as it reads them from all of its sources.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerSettings(BTreeMap<String, String>);

impl ServerSettings {
    pub async fn read(client: &Client) -> Result<Self, ServerError> {
        let failed = ServerError::query("settings that name programs and files");
        let names: Vec<_> = COMMANDS.iter().chain(&TLS_FILES).chain(&OTHERS).copied().collect();
        let sql = "SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[]) AND setting <> ''";
        let rows = client.query(sql, &[&names]).await.map_err(failed)?;
        let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
        Ok(Self(rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)?))
    }

    fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The program of each command that is in effect, with the setting: only its name, as a command may hold secrets.
    #[must_use]
    pub fn programs(&self) -> Vec<(&'static str, &str)> {
        let commands = self.commands().into_iter();
        commands.filter_map(|(setting, command)| Some((setting, program(command)?))).collect()
    }

    /// The commands that are in effect, each with its setting.
    #[must_use]
    pub fn commands(&self) -> Vec<(&'static str, &str)> {
        let in_effect = |setting: &&str| match *setting {
            "archive_command" => self.value("archive_mode") != "off",
            "ssl_passphrase_command" => self.value("ssl") == "on",
            _ => true,
        };
        COMMANDS.into_iter().filter(in_effect).map(|setting| (setting, self.value(setting))).collect()
    }

    /// The settings of TLS files that are in the data directory, which is not carried over, with their values.
    #[must_use]
    pub fn files_in_data_directory(&self) -> Vec<(&'static str, &str)> {
        if self.value("ssl") != "on" {
            return Vec::new();
        }
        let is_in_data = |file: &str| {
            let file = Path::new(file);
            file.is_relative() || file.starts_with(self.value("data_directory"))
        };
        let files = TLS_FILES.into_iter().map(|setting| (setting, self.value(setting)));
        files.filter(|(_, file)| !file.is_empty() && is_in_data(file)).collect()
    }
}

/// The program that a shell command begins with; `None` if only a shell could tell.
pub(super) fn program(command: &str) -> Option<&str> {
    let is_assignment = |word: &&str| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'))
    };
    let mut words =
        command.split_whitespace().skip_while(|word| is_assignment(word) || *word == "exec" || *word == "!");
    let is_plain = |c: char| c.is_alphanumeric() || "/._+-".contains(c);
    words.next().filter(|word| word.chars().all(is_plain) && !word.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> ServerSettings {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        ServerSettings(values.iter().map(own).collect())
    }

    #[rstest::rstest]
    #[case::path("/usr/bin/pgbackrest --stanza=demo archive-push %p", Some("/usr/bin/pgbackrest"))]
    #[case::builtin("test ! -f /archive/%f && cp %p /archive/%f", Some("test"))]
    #[case::assignment("PGPASSWORD=secret exec wal-g wal-push %p", Some("wal-g"))]
    #[case::group("(exit 0)", None)]
    #[case::expansion("$HOME/archive %p", None)]
    #[case::quoted("'/opt/my tool' %p", None)]
    #[case::empty(" ", None)]
    fn program_is_the_first_word_of_a_command(#[case] command: &str, #[case] expected: Option<&str>) {
        assert_eq!(program(command), expected);
    }

    #[test]
    fn program_counts_only_if_its_setting_is_in_effect() {
        let archive = ("archive_command", "wal-g wal-push %p");
        assert_eq!(settings(&[("archive_mode", "off"), archive]).programs(), []);
        assert_eq!(settings(&[("archive_mode", "on"), archive]).programs(), [("archive_command", "wal-g")]);
        let passphrase = ("ssl_passphrase_command", "/bin/key");
        assert_eq!(settings(&[("ssl", "off"), passphrase]).programs(), []);
        assert_eq!(
            settings(&[("ssl", "on"), passphrase]).programs(),
            [("ssl_passphrase_command", "/bin/key")]
        );
    }

    #[test]
    fn tls_files_in_the_data_directory_are_found_if_tls_is_on() {
        let files = [
            ("data_directory", "/var/pv/13/data"),
            ("ssl_cert_file", "server.crt"),
            ("ssl_key_file", "/var/pv/13/data/server.key"),
            ("ssl_ca_file", "/tls/ca.crt"),
        ];
        let found = |ssl| settings(&[&[("ssl", ssl)][..], &files].concat()).files_in_data_directory().len();
        assert_eq!(found("on"), 2);
        assert_eq!(found("off"), 0);
    }
}
