//! Private servers: no other client can connect to them. Their options and access rules.

use std::path::{Path, PathBuf};

use crate::agent::{Agent, AgentError};

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

/// Options of a private server, which override what `ALTER SYSTEM` left in the data directory: no JIT (its LLVM is not
/// staged), no TLS files, no archiving over the real archive, no preload library that this image lacks, and only the
/// pod's user on the socket; no triggers of users on DDL, which a restore would call; with room for the slots, origins and
/// prepared transactions that the user's settings may have allowed, or it would not start.
#[must_use]
pub fn server_options(major: u32, relations: u64, hba: &Path, data: Data) -> String {
    // Every table of a database is locked at once; the default allows 64 for each of 100 connections.
    let locks = 64 + relations.div_ceil(100);
    let mut options = format!(
        "-c jit=off -c lc_messages=C -c ssl=off -c shared_preload_libraries= -c huge_pages=off \
         -c autovacuum=off -c default_transaction_read_only=off -c max_locks_per_transaction={locks} \
         -c wal_level=logical -c max_replication_slots=100 -c max_prepared_transactions=100 \
         -c log_statement=none -c hba_file={}",
        hba.display()
    );
    if major >= 13 {
        options.push_str(" -c max_slot_wal_keep_size=-1");
    }
    if major >= 17 {
        options.push_str(" -c event_triggers=off");
    }
    if major >= 18 {
        options.push_str(" -c idle_replication_slot_timeout=0 -c max_active_replication_origins=1000");
    }
    match data {
        Data::New => options.push_str(" -c archive_mode=off"),
        // Without archiving a server removes WAL that waits for the archive. An empty command archives nothing.
        Data::Old { commit_timestamps } => {
            options.push_str(" -c archive_mode=on -c archive_command=");
            if major >= 15 {
                options.push_str(" -c archive_library=");
            }
            if commit_timestamps {
                options.push_str(" -c track_commit_timestamp=on");
            }
        }
    }
    options
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
    use rstest::rstest;

    #[rstest]
    #[case::jit_without_its_llvm("jit=off")]
    #[case::libraries_missing_in_the_image("shared_preload_libraries=")]
    #[case::huge_pages_without_support("huge_pages=off")]
    #[case::tls_files_elsewhere("ssl=off")]
    #[case::the_users_access_rules("hba_file=/tmp/pgops/pg_hba.conf")]
    fn private_server_ignores_the_users_settings(#[case] option: &str) {
        for major in [13, 18] {
            let options = server_options(major, 10, Path::new("/tmp/pgops/pg_hba.conf"), Data::New);
            assert!(
                options.split(" -c ").any(|it| it.trim_start_matches("-c ").trim() == option),
                "{options}"
            );
        }
    }

    const OLD: Data = Data::Old { commit_timestamps: false };

    #[test]
    fn private_server_archives_nothing_and_keeps_wal_for_the_archive() {
        let options = |data| server_options(17, 10, Path::new("/tmp/hba"), data);
        assert!(options(Data::New).ends_with("archive_mode=off"));
        assert!(options(OLD).contains("archive_mode=on -c archive_command= -c archive_library="));
    }

    #[test]
    fn private_server_keeps_commit_timestamps() {
        let options = |data| server_options(17, 10, Path::new("/tmp/hba"), data);
        assert!(options(Data::Old { commit_timestamps: true }).contains("track_commit_timestamp=on"));
        assert!(!options(OLD).contains("track_commit_timestamp"));
    }

    #[test]
    fn private_server_admits_only_the_pods_user() {
        assert!(PRIVATE_HBA.lines().all(|line| line.starts_with("local ")), "{PRIVATE_HBA}");
    }

    #[test]
    fn private_server_gets_only_settings_of_its_version() {
        let options = |major| server_options(major, 10_000, Path::new("/tmp/hba"), OLD);
        assert!(!options(14).contains("archive_library") && options(15).contains("archive_library="));
        assert!(!options(12).contains("max_slot_wal_keep_size"));
        assert!(!options(16).contains("event_triggers") && options(17).contains("event_triggers=off"));
        assert!(!options(17).contains("idle_replication_slot_timeout"));
        assert!(options(18).contains("idle_replication_slot_timeout=0"));
        assert!(options(13).contains("jit=off"));
        assert!(options(13).contains("max_locks_per_transaction=164"));
    }
}
