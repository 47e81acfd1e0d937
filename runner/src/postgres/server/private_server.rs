//! Private servers: no other client can connect to them. Their options and access rules.

use std::path::{Path, PathBuf};

use super::options::ServerOptions;
use crate::agent::{Agent, AgentError};
use crate::postgres::server_settings::ServerSettings;

/// Whose data a private server runs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Data {
    /// The old cluster's, which may serve again and must not change.
    Old {
        /// Whether `track_commit_timestamp` is on. Starting without it discards existing timestamps.
        commit_timestamps: bool,
    },
    /// A new cluster's.
    New,
}

/// What a private server is started for.
#[derive(Clone, Copy, Debug)]
pub struct PrivateServer<'a> {
    pub major: u32,
    pub data: Data,
    /// Number of relations of the largest database, all of which may be locked at once.
    pub relations: u64,
    /// Its access rules, see [`private_hba`].
    pub hba: &'a Path,
    /// What it takes over from the database's own settings.
    pub settings: &'a ServerSettings,
}

impl PrivateServer<'_> {
    /// Its options, which override what `ALTER SYSTEM` left in the data directory: no JIT (its LLVM is not staged), no TLS
    /// files, no archiving over the real archive, no log files and no group that exist only in the database's pod, no wait
    /// for standbys, and only the pod's user on the socket; no triggers of users on DDL, which a restore would call; of the libraries to preload only those that the run needs; with
    /// room for the slots, origins and prepared transactions that the user's settings have allowed, or it would not start.
    #[must_use]
    pub fn options(&self) -> ServerOptions {
        let mut options = ServerOptions::new();
        for name in
            ["jit", "ssl", "huge_pages", "autovacuum", "default_transaction_read_only", "logging_collector"]
        {
            options.set(name, "off");
        }
        for name in [
            "session_preload_libraries",
            "local_preload_libraries",
            "synchronous_standby_names",
            "unix_socket_group",
        ] {
            options.set(name, "");
        }
        options.set("lc_messages", "C").set("log_statement", "none").set("wal_level", "logical");
        // Without contexts, messages that code of users has written could not be told from the server's, and be shown.
        options.set("log_error_verbosity", "default");
        options.set("hba_file", self.hba.display().to_string());
        // Neither the workers of preloaded libraries nor, up to 16, those of subscriptions may write: see `preloaded`.
        options.set("max_worker_processes", "0");
        options.set("shared_preload_libraries", self.preload().join(","));
        self.add_capacity(&mut options);
        if self.major >= 13 {
            options.set("max_slot_wal_keep_size", "-1");
        }
        if self.major >= 17 {
            options.set("event_triggers", "off");
        }
        if self.major >= 18 {
            options.set("idle_replication_slot_timeout", "0");
        }
        match self.data {
            Data::New => {
                for (name, value) in &self.settings.new_settings {
                    options.set(name, value);
                }
                options.set("archive_mode", "off");
            }
            // Without archiving a server removes WAL that waits for the archive. An empty command archives nothing.
            Data::Old { commit_timestamps } => {
                options.set("archive_mode", "on").set("archive_command", "");
                if self.major >= 15 {
                    options.set("archive_library", "");
                }
                if commit_timestamps {
                    options.set("track_commit_timestamp", "on");
                }
            }
        }
        options
    }

    fn preload(&self) -> &[String] {
        match self.data {
            Data::Old { .. } => &self.settings.old_preload,
            Data::New => &self.settings.new_preload,
        }
    }

    /// At least what pgops itself needs, and what the data may hold: a new cluster only has the slots and origins that were
    /// carried over, the old one prepared transactions too (a recovery takes their locks again). A smaller
    /// `max_connections` than the user's may be less than the `superuser_reserved_connections` of `ALTER SYSTEM`.
    fn add_capacity(&self, options: &mut ServerOptions) {
        let of_server = self.settings.capacity;
        let mut set = |name: &str, least: u64, value: u64| {
            options.set(name, least.max(value).to_string());
        };
        let connections = of_server.connections.max(100);
        set("max_replication_slots", 100, of_server.replication_slots);
        if self.major >= 18 {
            let origins = of_server.active_replication_origins.max(of_server.replication_slots);
            set("max_active_replication_origins", 1000, origins);
        }
        match self.data {
            Data::Old { .. } => {
                set("max_connections", connections, 0);
                set("max_wal_senders", 10, of_server.wal_senders);
                set("max_prepared_transactions", 100, of_server.prepared_transactions);
                set(
                    "max_locks_per_transaction",
                    locks(self.relations, connections),
                    of_server.locks_per_transaction,
                );
            }
            Data::New => {
                set("max_prepared_transactions", 100, 0);
                set("max_locks_per_transaction", locks(self.relations, 100), 0);
            }
        }
    }
}

/// The `max_locks_per_transaction` with which all relations of a database can be locked at once: the lock table has that
/// many for each connection, whatever locks them. 64 is the default.
fn locks(relations: u64, connections: u64) -> u64 {
    64 + relations.div_ceil(connections)
}

/// The access rules that admit only the pod's own user.
const PRIVATE_HBA: &str = "local all all trust\nlocal replication all trust\n";

/// Writes the `pg_hba.conf` that admits only the pod's own user to a private server, into `directory` of the agent's
/// container.
pub async fn private_hba(agent: &Agent, directory: &Path) -> Result<PathBuf, AgentError> {
    let path = directory.join("pg_hba.conf");
    agent.write_file(path.clone(), PRIVATE_HBA.to_owned()).await?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::server_settings::Capacity;
    use rstest::rstest;

    const OLD: Data = Data::Old { commit_timestamps: false };

    fn options(major: u32, data: Data, settings: &ServerSettings) -> String {
        let hba = Path::new("/tmp/pgops/pg_hba.conf");
        PrivateServer { major, data, relations: 10_000, hba, settings }.options().to_string()
    }

    fn plain(major: u32, data: Data) -> String {
        options(major, data, &ServerSettings::default())
    }

    fn has(options: &str, option: &str) -> bool {
        options.split("-c ").any(|it| it.trim() == option)
    }

    #[rstest]
    #[case::jit_without_its_llvm("jit=off")]
    #[case::libraries_missing_in_the_image("shared_preload_libraries=")]
    #[case::libraries_of_each_session("session_preload_libraries=")]
    #[case::huge_pages_without_support("huge_pages=off")]
    #[case::tls_files_elsewhere("ssl=off")]
    #[case::log_files_elsewhere("logging_collector=off")]
    #[case::group_of_another_image("unix_socket_group=")]
    #[case::standbys_that_never_answer("synchronous_standby_names=")]
    #[case::errors_without_a_context("log_error_verbosity=default")]
    #[case::the_users_access_rules("hba_file=/tmp/pgops/pg_hba.conf")]
    fn private_server_ignores_the_users_settings(#[case] option: &str) {
        for (major, data) in [(13, OLD), (13, Data::New), (18, OLD), (18, Data::New)] {
            let options = plain(major, data);
            assert!(has(&options, option), "{options}");
        }
    }

    #[test]
    fn private_server_starts_no_background_worker() {
        for data in [OLD, Data::New] {
            assert!(has(&plain(16, data), "max_worker_processes=0"));
        }
    }

    #[test]
    fn private_server_archives_nothing_and_keeps_wal_for_the_archive() {
        assert!(plain(17, Data::New).ends_with("archive_mode=off"));
        assert!(plain(17, OLD).contains("archive_mode=on -c archive_command= -c archive_library="));
    }

    #[test]
    fn private_server_keeps_commit_timestamps() {
        assert!(has(&plain(17, Data::Old { commit_timestamps: true }), "track_commit_timestamp=on"));
        assert!(!plain(17, OLD).contains("track_commit_timestamp"));
    }

    #[test]
    fn private_server_admits_only_the_pods_user() {
        assert!(PRIVATE_HBA.lines().all(|line| line.starts_with("local ")), "{PRIVATE_HBA}");
    }

    #[test]
    fn private_server_gets_only_settings_of_its_version() {
        assert!(!plain(14, OLD).contains("archive_library") && plain(15, OLD).contains("archive_library="));
        assert!(!plain(12, OLD).contains("max_slot_wal_keep_size"));
        assert!(!plain(16, OLD).contains("event_triggers") && has(&plain(17, OLD), "event_triggers=off"));
        for setting in ["idle_replication_slot_timeout=0", "max_active_replication_origins=1000"] {
            assert!(!has(&plain(17, OLD), setting) && has(&plain(18, OLD), setting), "{setting}");
        }
    }

    const LARGE: Capacity = Capacity {
        connections: 500,
        prepared_transactions: 300,
        locks_per_transaction: 128,
        replication_slots: 2000,
        wal_senders: 250,
        active_replication_origins: 0,
    };

    #[rstest]
    #[case("max_connections=500")]
    #[case("max_prepared_transactions=300")]
    #[case("max_locks_per_transaction=128")]
    #[case("max_replication_slots=2000")]
    #[case("max_wal_senders=250")]
    fn private_server_on_the_old_data_has_room_for_all_that_the_serving_one_allows(#[case] option: &str) {
        let settings = ServerSettings { capacity: LARGE, ..ServerSettings::default() };
        let options = options(13, OLD, &settings);
        assert!(has(&options, option), "{options}");
    }

    #[test]
    fn private_server_on_new_data_has_room_for_carried_slots_and_origins() {
        let settings = ServerSettings { capacity: LARGE, ..ServerSettings::default() };
        let options = options(18, Data::New, &settings);
        for option in ["max_replication_slots=2000", "max_active_replication_origins=2000"] {
            assert!(has(&options, option), "{options}");
        }
        // Each connection takes memory in advance, and the new server has no use for more of them.
        assert!(!options.contains("max_connections"), "{options}");
    }

    #[test]
    fn private_server_has_room_for_what_pgops_does_whatever_the_serving_one_allows() {
        let small = Capacity { connections: 20, replication_slots: 1, ..Capacity::default() };
        let settings = ServerSettings { capacity: small, ..ServerSettings::default() };
        for data in [OLD, Data::New] {
            let options = options(13, data, &settings);
            for option in ["max_replication_slots=100", "max_locks_per_transaction=164"] {
                assert!(has(&options, option), "{options}");
            }
        }
    }

    #[test]
    fn private_server_preloads_what_its_own_version_needs() {
        let settings = ServerSettings {
            old_preload: vec!["citus".into()],
            new_preload: vec!["citus".into(), "pgaudit".into()],
            ..ServerSettings::default()
        };
        assert!(has(&options(13, OLD, &settings), "shared_preload_libraries=citus"));
        assert!(has(&options(17, Data::New, &settings), "shared_preload_libraries=citus,pgaudit"));
    }

    #[test]
    fn private_server_on_new_data_gets_the_settings_that_the_target_reads() {
        let new_settings = vec![("output_plugin_libraries".to_owned(), "pgoutput, wal2json".to_owned())];
        let settings = ServerSettings { new_settings, ..ServerSettings::default() };
        assert!(has(&options(18, Data::New, &settings), "output_plugin_libraries='pgoutput, wal2json'"));
        assert!(!options(17, OLD, &settings).contains("output_plugin_libraries"));
    }
}
