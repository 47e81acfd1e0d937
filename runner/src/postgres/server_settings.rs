//! What the private servers of an upgrade take over from the database's own settings: they read neither `user.conf` nor,
//! on the new cluster, what `ALTER SYSTEM` has stored.

use serde::{Deserialize, Serialize};

/// Limits of the serving server. Its data may hold as many slots, origins and prepared transactions as they allow, and a
/// server that allows fewer does not start on it. The fields are the settings' names without `max_`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Capacity {
    pub connections: u64,
    pub prepared_transactions: u64,
    pub locks_per_transaction: u64,
    pub replication_slots: u64,
    pub wal_senders: u64,
    /// Since 18; 0 before, where `max_replication_slots` is the limit of origins too.
    pub active_replication_origins: u64,
}

impl Capacity {
    /// The settings that it is read from.
    pub const SETTINGS: [&str; 6] = [
        "max_connections",
        "max_prepared_transactions",
        "max_locks_per_transaction",
        "max_replication_slots",
        "max_wal_senders",
        "max_active_replication_origins",
    ];

    /// Takes the values from `setting`, which knows them by name. What the server does not have, or does not give as a
    /// number, is 0: the private servers' own values are enough then.
    pub fn read<'a>(setting: impl Fn(&str) -> Option<&'a str>) -> Self {
        let number =
            |name| -> u64 { setting(name).and_then(|value| value.trim().parse().ok()).unwrap_or_default() };
        let [connections, prepared, locks, slots, senders, origins] = Self::SETTINGS.map(number);
        Self {
            connections,
            prepared_transactions: prepared,
            locks_per_transaction: locks,
            replication_slots: slots,
            wal_senders: senders,
            active_replication_origins: origins,
        }
    }
}

/// What all private servers of an upgrade take over. The preflight stores it for the outage.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServerSettings {
    /// Of the serving server.
    pub capacity: Capacity,
    /// Libraries that the old version's private servers preload.
    pub old_preload: Vec<String>,
    /// Libraries that the target's private servers preload.
    pub new_preload: Vec<String>,
    /// Further settings of the target's private servers, as the target reads them from the database's configuration.
    pub new_settings: Vec<(String, String)>,
}

impl ServerSettings {
    /// Whether nothing is taken over; the facts of an earlier version of pgops had nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_read_by_name_and_lacks_what_the_server_does_not_have() {
        let settings = |name: &str| match name {
            "max_connections" => Some("500"),
            "max_replication_slots" => Some(" 200 "),
            "max_wal_senders" => Some("many"),
            _ => None,
        };
        let expected = Capacity { connections: 500, replication_slots: 200, ..Capacity::default() };
        assert_eq!(Capacity::read(settings), expected);
    }

    #[test]
    fn capacity_takes_each_value_from_the_setting_of_its_name() {
        let settings: Vec<_> = Capacity::SETTINGS
            .iter()
            .zip(1..)
            .map(|(name, value): (_, u64)| (*name, value.to_string()))
            .collect();
        let find = |name: &str| settings.iter().find(|(it, _)| *it == name).map(|(_, value)| value.as_str());
        let json = serde_json::to_value(Capacity::read(find)).unwrap();
        for (name, value) in &settings {
            let field = name.strip_prefix("max_").unwrap();
            assert_eq!(json[field].to_string(), *value, "{name}");
        }
    }

    #[test]
    fn server_settings_may_lack_what_a_later_version_stores() {
        let stored = r#"{"capacity": {"connections": 500}}"#;
        let settings: ServerSettings = serde_json::from_str(stored).unwrap();
        assert_eq!(settings.capacity, Capacity { connections: 500, ..Capacity::default() });
        assert!(!settings.is_empty() && ServerSettings::default().is_empty());
    }
}
