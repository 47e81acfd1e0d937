//! Servers that serve nobody but us and `pg_upgrade`: their options, and who gets in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::postgres::pg_upgrade::PgUpgradeError;

/// Whose data a private server runs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Data {
    /// The old cluster's, which may serve again and must be what it was.
    Old {
        /// Whether it keeps the times of commits: a server that does not removes them.
        commit_timestamps: bool,
    },
    /// A new cluster's.
    New,
}

/// Options of a server that serves nobody but `pg_upgrade`, whatever `ALTER SYSTEM` left in the data
/// directory: no JIT (its LLVM is not staged), no TLS files, no archiving over the real archive, no
/// preload library that this image lacks, and nobody but the pod's user on the socket; with room for the
/// slots, origins and prepared transactions that the user's settings may have allowed, or it would not start.
#[must_use]
pub fn server_options(major: u32, relations: u64, hba: &Path, data: Data) -> String {
    // Every table of a database is locked at once; the default allows 64 for each of 100 connections.
    let locks = 64 + relations.div_ceil(100);
    let mut options = format!(
        "-c jit=off -c ssl=off -c shared_preload_libraries= -c huge_pages=off \
         -c autovacuum=off -c default_transaction_read_only=off -c max_locks_per_transaction={locks} \
         -c wal_level=logical -c max_replication_slots=100 -c max_prepared_transactions=100 \
         -c log_statement=none -c hba_file={}",
        hba.display()
    );
    if major >= 13 {
        options.push_str(" -c max_slot_wal_keep_size=-1");
    }
    if major >= 18 {
        options.push_str(" -c idle_replication_slot_timeout=0 -c max_active_replication_origins=1000");
    }
    match data {
        Data::New => options.push_str(" -c archive_mode=off"),
        // Without archiving a server removes WAL that waits for the archive. Nothing is archived with no command.
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

/// The file that admits the pod's own user to a private server; written into `scratch`.
pub fn private_hba(scratch: &Path) -> Result<PathBuf, PgUpgradeError> {
    let path = scratch.join("pg_hba.conf");
    let failed = |source| PgUpgradeError::Prepare { path: path.clone(), source };
    fs::create_dir_all(scratch).map_err(failed)?;
    fs::write(&path, "local all all trust\nlocal replication all trust\n").map_err(failed)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::jit_without_its_llvm("jit=off")]
    #[case::libraries_that_the_image_lacks("shared_preload_libraries=")]
    #[case::huge_pages_that_the_pod_lacks("huge_pages=off")]
    #[case::tls_files_elsewhere("ssl=off")]
    #[case::the_users_access_rules("hba_file=/tmp/pgops/pg_hba.conf")]
    fn a_private_server_uses_nothing_of_what_users_have_set(#[case] option: &str) {
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
    fn a_private_server_archives_nothing_and_loses_no_wal_that_waits_for_the_archive() {
        let options = |data| server_options(17, 10, Path::new("/tmp/hba"), data);
        assert!(options(Data::New).ends_with("archive_mode=off"));
        assert!(options(OLD).contains("archive_mode=on -c archive_command= -c archive_library="));
    }

    #[test]
    fn the_times_of_commits_stay() {
        let options = |data| server_options(17, 10, Path::new("/tmp/hba"), data);
        assert!(options(Data::Old { commit_timestamps: true }).contains("track_commit_timestamp=on"));
        assert!(!options(OLD).contains("track_commit_timestamp"));
    }

    #[test]
    fn nobody_but_the_pods_user_reaches_a_private_server() {
        let scratch = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(private_hba(scratch.path()).unwrap()).unwrap();
        assert!(text.lines().all(|line| line.starts_with("local ")), "{text}");
    }

    #[test]
    fn settings_that_a_version_does_not_know_are_not_given_to_it() {
        let options = |major| server_options(major, 10_000, Path::new("/tmp/hba"), OLD);
        assert!(!options(14).contains("archive_library") && options(15).contains("archive_library="));
        assert!(!options(12).contains("max_slot_wal_keep_size"));
        assert!(!options(17).contains("idle_replication_slot_timeout"));
        assert!(options(18).contains("idle_replication_slot_timeout=0"));
        assert!(options(13).contains("jit=off"));
        assert!(options(13).contains("max_locks_per_transaction=164"));
    }
}
