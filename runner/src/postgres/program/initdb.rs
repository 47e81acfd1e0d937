//! Initialises the new cluster so that `pg_upgrade` accepts it: the same install user, encoding,
//! locale, checksums and WAL segment size as the old one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::installation::Installation;

/// What of the old cluster the new one must have too.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClusterShape {
    /// The role with OID 10.
    pub install_user: String,
    /// Encoding of template0.
    pub encoding: String,
    /// `LC_COLLATE` of template0.
    pub collate: String,
    /// `LC_CTYPE` of template0.
    pub ctype: String,
    /// The locales of messages, money, numbers and times, in that order: initdb writes them down.
    pub lc_others: [String; 4],
    /// Locale provider of template0.
    pub provider: LocaleProvider,
    /// WAL segment size in bytes.
    pub wal_segment_bytes: u64,
    /// Whether pages carry checksums.
    pub checksums: bool,
}

/// Where the default collation comes from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum LocaleProvider {
    /// The C library.
    Libc,
    /// ICU, since 15.
    Icu {
        /// The ICU locale.
        locale: String,
        /// Rules on top of it, since 16.
        rules: Option<String>,
    },
    /// `PostgreSQL` itself, since 17.
    Builtin {
        /// Its name for the locale.
        locale: String,
    },
}

/// The options of initdb for a shape. `help` is what `initdb --help` prints: options that it does
/// not know, such as `--no-data-checksums` before 18, are its default there.
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
    // A node with huge pages and a pod without: the server that initdb starts would die of a bus error.
    push("--set", Some("huge_pages=off"));
    options
}

/// Runs initdb of `installation` for `pgdata`, which must not exist.
pub async fn initdb(
    installation: &Installation,
    pgdata: &Path,
    shape: &ClusterShape,
) -> Result<(), CommandError> {
    let program = || Program::new(installation.program("initdb"));
    let help = program().arg("--help").output().await?;
    program().arg("--pgdata").arg(pgdata).args(options(shape, &help)).output().await.map(drop)
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
    fn locale_encoding_and_segment_size_are_carried() {
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
    fn checksums_are_refused_only_where_they_are_the_default() {
        assert!(options(&shape(), HELP_18).contains(&"--no-data-checksums".to_owned()));
        assert!(!options(&shape(), HELP_15).iter().any(|option| option.contains("checksums")));
        let with = ClusterShape { checksums: true, ..shape() };
        assert!(options(&with, HELP_15).contains(&"--data-checksums".to_owned()));
        assert!(options(&with, HELP_18).contains(&"--data-checksums".to_owned()));
    }

    #[test]
    fn the_install_user_is_the_old_one() {
        let shape = ClusterShape { install_user: "root of all".into(), ..shape() };
        assert!(options(&shape, HELP_15).contains(&"--username=root of all".to_owned()));
    }

    #[test]
    fn an_icu_cluster_stays_one() {
        let provider = LocaleProvider::Icu { locale: "de".into(), rules: None };
        let options = options(&ClusterShape { provider, ..shape() }, HELP_15);
        assert!(options.contains(&"--locale-provider=icu".to_owned()), "{options:?}");
        assert!(options.contains(&"--icu-locale=de".to_owned()), "{options:?}");
    }
}
