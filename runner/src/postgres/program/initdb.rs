//! Initialises the new cluster so that `pg_upgrade` accepts it: with the install user, encoding, locale, checksums
//! and WAL segment size of the old one.

use std::io;
use std::path::Path;

use pgops_volume::Interlock;

use super::command::CommandError;
use super::programs::Programs;
use crate::postgres::cluster_shape::{ClusterShape, LocaleProvider};

/// The options of `initdb` for a cluster. `help` is the output of `initdb --help`: options that it does not list,
/// such as `--no-data-checksums` before 18, are the default there.
#[must_use]
pub fn options(shape: &ClusterShape, help: &str) -> Vec<String> {
    let mut options = vec![
        format!("--username={}", shape.install_user),
        format!("--encoding={}", shape.encoding),
        format!("--lc-collate={}", shape.collate),
        format!("--lc-ctype={}", shape.ctype),
        format!("--wal-segsize={}", shape.wal_segment_bytes / (1024 * 1024)),
        "--auth=trust".to_owned(),
    ];
    for (category, locale) in ["messages", "monetary", "numeric", "time"].iter().zip(&shape.lc_others) {
        options.push(format!("--lc-{category}={locale}"));
    }
    let mut push = |option: &str, value: Option<&str>| {
        if help.contains(option) {
            options.push(value.map_or(option.to_owned(), |value| format!("{option}={value}")));
        }
    };
    push(if shape.checksums { "--data-checksums" } else { "--no-data-checksums" }, None);
    match &shape.provider {
        LocaleProvider::Libc => push("--locale-provider", Some("libc")),
        LocaleProvider::Icu { locale, rules } => {
            push("--locale-provider", Some("icu"));
            push("--icu-locale", Some(locale));
            if let Some(rules) = rules {
                push("--icu-rules", Some(rules));
            }
        }
        LocaleProvider::Builtin { locale } => {
            push("--locale-provider", Some("builtin"));
            push("--builtin-locale", Some(locale));
        }
    }
    // On a node with huge pages, in a pod without: the server that initdb starts would die of a bus error.
    push("--set", Some("huge_pages=off"));
    options
}

/// Runs `initdb` for `pgdata`, which must not exist.
pub async fn initdb(programs: &Programs, pgdata: &Path, shape: &ClusterShape) -> Result<(), CommandError> {
    let help = programs.program("initdb").arg("--help").output().await?;
    let program = programs.program("initdb").arg("--pgdata").path(pgdata);
    program.args(options(shape, &help)).output().await.map(drop)
}

/// The files of a cluster could not be written to the disk.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error("failed to pass the interlock to initdb --sync-only")]
    Interlock(#[source] io::Error),
    #[error("failed to write the new cluster to the disk")]
    Command(#[from] CommandError),
}

/// Writes the files of the cluster in `pgdata`, and in its tablespaces, to the disk. What a server writes meanwhile may be missing.
pub async fn sync(programs: &Programs, pgdata: &Path, interlock: &Interlock) -> Result<(), SyncError> {
    let program = programs.program("initdb").args(["--sync-only", "--pgdata"]).path(pgdata);
    program.holding(interlock).map_err(SyncError::Interlock)?.output().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP_15: &str =
        "-k, --data-checksums --icu-locale=LOCALE --locale-provider={libc|icu} --wal-segsize";
    const HELP_18: &str = "--data-checksums --no-data-checksums --icu-locale --locale-provider --builtin-locale \
                           --icu-rules -c, --set NAME=VALUE";

    fn shape() -> ClusterShape {
        ClusterShape {
            install_user: "postgres".into(),
            encoding: "LATIN1".into(),
            collate: "de_DE".into(),
            ctype: "de_DE".into(),
            lc_others: ["C", "de_DE", "de_DE", "de_DE"].map(Into::into),
            provider: LocaleProvider::Libc,
            wal_segment_bytes: 64 * 1024 * 1024,
            checksums: false,
        }
    }

    #[test]
    fn initdb_gets_locale_encoding_and_segment_size() {
        let options = options(&shape(), HELP_18);
        for expected in [
            "--encoding=LATIN1",
            "--lc-collate=de_DE",
            "--lc-ctype=de_DE",
            "--lc-time=de_DE",
            "--wal-segsize=64",
        ] {
            assert!(options.iter().any(|option| option == expected), "{expected} in {options:?}");
        }
    }

    #[test]
    fn initdb_disables_checksums_only_if_they_are_the_default() {
        assert!(options(&shape(), HELP_18).contains(&"--no-data-checksums".to_owned()));
        assert!(!options(&shape(), HELP_15).iter().any(|option| option.contains("checksums")));
        let with = ClusterShape { checksums: true, ..shape() };
        assert!(options(&with, HELP_15).contains(&"--data-checksums".to_owned()));
        assert!(options(&with, HELP_18).contains(&"--data-checksums".to_owned()));
    }

    #[test]
    fn initdb_gets_the_old_install_user() {
        let shape = ClusterShape { install_user: "root of all".into(), ..shape() };
        assert!(options(&shape, HELP_15).contains(&"--username=root of all".to_owned()));
    }

    #[test]
    fn initdb_gets_the_icu_locale() {
        let provider = LocaleProvider::Icu { locale: "de".into(), rules: None };
        let options = options(&ClusterShape { provider, ..shape() }, HELP_15);
        assert!(options.contains(&"--locale-provider=icu".to_owned()), "{options:?}");
        assert!(options.contains(&"--icu-locale=de".to_owned()), "{options:?}");
    }
}
