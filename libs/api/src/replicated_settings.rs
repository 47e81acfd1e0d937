//! The settings that all servers of a database with standbys must agree on. Patroni passes them on the command line, which takes
//! precedence over every file, so they must be copied from the user's settings into its own, or a user's value silently has no
//! effect.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::settings;

/// What Patroni accepts of a setting; it uses its default instead of anything else.
#[derive(Clone, Copy, Debug)]
enum Accepted {
    /// A number, not less than this.
    AtLeast(i64),
    /// An amount of memory.
    Memory,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// The settings that Patroni sets, as far as users may choose the value.
const REPLICATED: [(&str, Accepted); 10] = [
    ("max_connections", Accepted::AtLeast(25)),
    ("max_locks_per_transaction", Accepted::AtLeast(32)),
    ("max_prepared_transactions", Accepted::AtLeast(0)),
    ("max_replication_slots", Accepted::AtLeast(4)),
    ("max_wal_senders", Accepted::AtLeast(3)),
    ("max_worker_processes", Accepted::AtLeast(2)),
    ("track_commit_timestamp", Accepted::OneOf(&["on", "off", "true", "false", "yes", "no", "1", "0"])),
    ("wal_keep_segments", Accepted::AtLeast(1)),
    ("wal_keep_size", Accepted::Memory),
    ("wal_level", Accepted::OneOf(&["replica", "hot_standby", "logical"])),
];

/// A value that cannot be used with standbys.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IgnoredSetting {
    /// Less than standbys need.
    #[error("{name} = {value} has no effect with standbys: {least} is the least")]
    TooSmall {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// The smallest value that is used.
        least: i64,
    },
    /// Not a value of the setting, or one without replication.
    #[error("{name} = {value} has no effect with standbys")]
    Unusable {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

/// The user's values of these settings, by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReplicatedSettings {
    used: BTreeMap<&'static str, String>,
    ignored: Vec<IgnoredSetting>,
}

impl ReplicatedSettings {
    /// Those in a text in the syntax of `postgresql.conf`. The last of several lines counts; what is not a setting is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        for (name, value) in settings::pairs(text) {
            if let Some((known, accepted)) = REPLICATED.into_iter().find(|(known, _)| *known == name) {
                values.insert(known, (accepted, value));
            }
        }
        let mut parsed = Self::default();
        for (name, (accepted, value)) in values {
            match accepted.check(name, &value) {
                Ok(()) => {
                    parsed.used.insert(name, value);
                }
                Err(problem) => parsed.ignored.push(problem),
            }
        }
        parsed
    }

    /// The values that Patroni would not use.
    #[must_use]
    pub fn ignored(&self) -> &[IgnoredSetting] {
        &self.ignored
    }

    /// As the `parameters` of Patroni's dynamic configuration.
    #[must_use]
    pub fn parameters(&self) -> Map<String, Value> {
        self.used.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect()
    }
}

impl Accepted {
    fn check(self, name: &'static str, value: &str) -> Result<(), IgnoredSetting> {
        let unusable = || IgnoredSetting::Unusable { name, value: crate::bounded(value, 60, "") };
        match self {
            Self::AtLeast(least) => match value.parse::<i64>() {
                Ok(number) if number >= least => Ok(()),
                Ok(_) => Err(IgnoredSetting::TooSmall { name, value: value.to_owned(), least }),
                Err(_) => Err(unusable()),
            },
            Self::Memory => {
                value.starts_with(|char: char| char.is_ascii_digit()).then_some(()).ok_or_else(unusable)
            }
            Self::OneOf(words) => {
                words.iter().any(|word| value.eq_ignore_ascii_case(word)).then_some(()).ok_or_else(unusable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn replicated_settings_are_copied_and_others_left_out() {
        let text = "work_mem = '8MB'\nMax_Connections = 50\nmax_connections = '300' # for the shop\n\
                    wal_level=logical\ntrack_commit_timestamp ON\nwal_keep_size 1GB\n- no setting\n";
        let settings = ReplicatedSettings::parse(text);
        let expected = json!({
            "max_connections": "300", "wal_level": "logical", "track_commit_timestamp": "ON", "wal_keep_size": "1GB",
        });
        assert_eq!(Value::Object(settings.parameters()), expected);
        assert_eq!(settings.ignored(), []);
    }

    #[test]
    fn values_that_standbys_cannot_run_with_are_named() {
        let settings =
            ReplicatedSettings::parse("max_connections = 20\nwal_level = minimal\nmax_wal_senders = many\n");
        let texts: Vec<_> = settings.ignored().iter().map(ToString::to_string).collect();
        let expected = [
            "max_connections = 20 has no effect with standbys: 25 is the least",
            "max_wal_senders = many has no effect with standbys",
            "wal_level = minimal has no effect with standbys",
        ];
        assert_eq!(texts, expected);
        assert!(settings.parameters().is_empty());
    }
}
