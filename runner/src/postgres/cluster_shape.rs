//! What the old and the new cluster must have in common, or `pg_upgrade` refuses them.

use serde::{Deserialize, Serialize};

/// The parameters of `initdb`, as `template0` of the old cluster has them: its other databases may differ from
/// `template0`, those of a new cluster cannot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClusterShape {
    /// The role with OID 10.
    pub install_user: String,
    pub encoding: String,
    /// `LC_COLLATE` of `template0`.
    pub collate: String,
    /// `LC_CTYPE` of `template0`.
    pub ctype: String,
    /// The locales of messages, money, numbers and times, in that order: `initdb` writes them into its configuration.
    pub lc_others: [String; 4],
    pub provider: LocaleProvider,
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
        locale: String,
        /// Rules on top of the locale, since 16.
        rules: Option<String>,
    },
    /// `PostgreSQL` itself, since 17.
    Builtin { locale: String },
}
