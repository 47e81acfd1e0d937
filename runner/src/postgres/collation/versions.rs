//! Versions of collations: the order of text comes from the C library and the ICU of an image, and may differ in
//! another image. The catalog does not always show it: `pg_upgrade` gives predefined collations, and the defaults of
//! databases from before 15, the version of the new image. So the versions that the servers themselves report are
//! compared.

use std::fmt;

use pgops_api::display_chain;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Row};

use crate::postgres::client::catalog::databases;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::session::Superuser;
use crate::postgres::client::side_by_side::{connect_in_turn, side_by_side};

/// A locale of a provider, and the version that a server has of it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct CollationVersion {
    /// `c` for the C library, `i` for ICU, `b` for `PostgreSQL` itself.
    pub provider: String,
    /// The provider's name for the locale.
    pub locale: String,
    /// None if the order never changes, or if the server does not know the version.
    pub version: Option<String>,
}

/// A collation that something in a database uses.
#[derive(Clone, Debug, PartialEq)]
pub struct CollationInUse {
    /// [`DEFAULT_COLLATION`] for the database's default.
    pub oid: u32,
    /// The name for messages.
    pub name: String,
    pub collation: CollationVersion,
}

/// The OID of the collation that stands for the database's default.
pub const DEFAULT_COLLATION: u32 = 100;

/// A collation whose order may have changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChangedCollation {
    pub oid: u32,
    /// The name for messages.
    pub name: String,
    /// The version before the upgrade, if it is known.
    pub before: Option<String>,
    /// The current version, if it is known.
    pub now: Option<String>,
}

impl fmt::Display for ChangedCollation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "unknown".to_owned());
        write!(f, "{} ({} → {})", self.name, version(&self.before), version(&self.now))
    }
}

/// The collations whose order may differ from before. An unknown version counts as a different one: an index that was
/// rebuilt unnecessarily costs time, one that was not rebuilt loses rows.
#[must_use]
pub fn changed_collations(before: &[CollationVersion], now: &[CollationInUse]) -> Vec<ChangedCollation> {
    now.iter().filter_map(|in_use| change_of(before, in_use)).collect()
}

fn change_of(before: &[CollationVersion], in_use: &CollationInUse) -> Option<ChangedCollation> {
    let now = &in_use.collation;
    let same_locale = before.iter().find(|it| it.provider == now.provider && it.locale == now.locale);
    // All locales of the C library change together.
    let same_library =
        || before.iter().find(|it| now.provider == "c" && it.provider == "c" && it.version.is_some());
    let known = same_locale.or_else(same_library);
    // PostgreSQL itself sorts by bytes, even if it is the provider only since this version.
    let is_of_a_library = now.version.is_some() && now.provider != "b";
    let changed = known.map_or(is_of_a_library, |known| known.version != now.version);
    changed.then(|| ChangedCollation {
        oid: in_use.oid,
        name: in_use.name.clone(),
        before: known.and_then(|known| known.version.clone()),
        now: now.version.clone(),
    })
}

/// The OIDs of the collations, as a query parameter.
pub fn oids(changed: &[ChangedCollation]) -> Vec<u32> {
    changed.iter().map(|collation| collation.oid).collect()
}

/// The collations that the databases of the server at `host` use.
pub async fn collation_versions(
    superuser: &Superuser,
    host: &str,
    major: u32,
) -> Result<Vec<CollationVersion>, ServerError> {
    let databases = databases(&superuser.connect_server(host).await?).await?;
    let in_use = side_by_side(&databases, |database| async move {
        let in_use =
            async { collations_in_use(&connect_in_turn(superuser, host, database).await?, major).await };
        match in_use.await {
            // Most versions are those of a library, which the other databases show too.
            Err(error) if error.is_permanent() => {
                tracing::warn!(
                    "the collations of database \"{database}\" are unknown: {}",
                    display_chain(&error)
                );
                Ok(Vec::new())
            }
            in_use => in_use,
        }
    });
    let mut versions: Vec<_> = in_use.await?.into_iter().flatten().map(|it| it.collation).collect();
    versions.sort();
    versions.dedup();
    Ok(versions)
}

/// The collations in use in the database that `client` is connected to.
pub async fn collations_in_use(client: &Client, major: u32) -> Result<Vec<CollationInUse>, ServerError> {
    let failed = ServerError::query("the collations in use");
    let rows = client.query(&query(major), &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        let collation =
            CollationVersion { provider: row.try_get(2)?, locale: row.try_get(3)?, version: row.try_get(4)? };
        Ok(CollationInUse { oid: row.try_get(0)?, name: row.try_get(1)?, collation })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// Locales of the C library whose order is that of the bytes.
const UNVERSIONED: &str = r"^(C|POSIX)$|^C\.";

fn query(major: u32) -> String {
    let (collation_locale, default_provider, default_locale) = match major {
        ..15 => ("c.collcollate::text", "'c'", "d.datcollate::text"),
        15 | 16 => (
            "COALESCE(c.colliculocale, c.collcollate)::text",
            "d.datlocprovider",
            "COALESCE(d.daticulocale, d.datcollate)::text",
        ),
        _ => (
            "COALESCE(c.colllocale, c.collcollate)::text",
            "d.datlocprovider",
            "COALESCE(d.datlocale, d.datcollate)::text",
        ),
    };
    let default_version = if major >= 15 {
        "pg_database_collation_actual_version(d.oid)".to_owned()
    } else {
        // The default is the C library's, whose version the server reports only for a collation.
        format!(
            "CASE WHEN datcollate !~* '{UNVERSIONED}' THEN (SELECT max(pg_collation_actual_version(oid)) FROM pg_collation \
             WHERE collprovider = 'c' AND collcollate !~* '{UNVERSIONED}') END"
        )
    };
    format!(
        include_str!("../sql/collations_in_use.sql"),
        collation_locale = collation_locale,
        default_provider = default_provider,
        default_locale = default_locale,
        default_version = default_version,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn collation(provider: &str, locale: &str, version: Option<&str>) -> CollationVersion {
        CollationVersion {
            provider: provider.into(),
            locale: locale.into(),
            version: version.map(Into::into),
        }
    }

    fn is_changed(before: &[CollationVersion], now: CollationVersion) -> bool {
        let now = CollationInUse { oid: 16400, name: "public.x".into(), collation: now };
        !changed_collations(before, &[now]).is_empty()
    }

    #[rstest]
    #[case::another_icu("i", "de", Some("153.128"), true)]
    #[case::the_same_icu("i", "de", Some("153.14"), false)]
    #[case::unknown_locale("i", "sv", Some("153.14"), true)]
    #[case::another_library("c", "en_US.UTF-8", Some("2.41"), true)]
    #[case::the_same_library("c", "en_US.UTF-8", Some("2.31"), false)]
    #[case::another_locale_of_the_same_library("c", "sv_SE", Some("2.31"), false)]
    #[case::another_locale_of_another_library("c", "sv_SE", Some("2.41"), true)]
    #[case::bytes_stay_bytes("c", "C", None, false)]
    #[case::bytes_of_another_provider("b", "C", Some("1"), false)]
    fn collation_is_changed_if_its_version_differs_or_is_unknown(
        #[case] provider: &str,
        #[case] locale: &str,
        #[case] version: Option<&str>,
        #[case] expected: bool,
    ) {
        let before = [
            collation("c", "C", None),
            collation("c", "en_US.UTF-8", Some("2.31")),
            collation("i", "de", Some("153.14")),
        ];
        assert_eq!(is_changed(&before, collation(provider, locale, version)), expected);
    }

    #[test]
    fn unknown_library_version_before_counts_as_changed() {
        assert!(is_changed(&[collation("c", "de_DE", None)], collation("c", "de_DE", Some("2.41"))));
        // musl has no versions, and sorts by bytes.
        assert!(!is_changed(&[collation("c", "de_DE", None)], collation("c", "de_DE", None)));
    }

    #[test]
    fn changed_collation_is_shown_with_both_versions() {
        let changed = ChangedCollation {
            oid: DEFAULT_COLLATION,
            name: "the default of shop".into(),
            before: None,
            now: Some("2.41".into()),
        };
        assert_eq!(changed.to_string(), "the default of shop (unknown → 2.41)");
    }

    #[rstest]
    #[case(13, "collcollate", "datcollate")]
    #[case(15, "colliculocale", "daticulocale")]
    #[case(18, "colllocale", "datlocale")]
    fn query_has_the_columns_of_each_version(#[case] major: u32, #[case] one: &str, #[case] other: &str) {
        let query = query(major);
        let query = query.split_once("SELECT").unwrap().1;
        assert!(query.contains(one) && query.contains(other), "{query}");
        assert_eq!(query.contains("pg_database_collation_actual_version"), major >= 15);
    }
}
