//! Versions of collations: the order of text comes from the C library and the ICU of an image, and may differ in
//! another image. The catalog does not always show it: `pg_upgrade` gives predefined collations, and the defaults of
//! databases from before 15, the version of the new image. So the versions that the servers themselves report are
//! compared.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Row};

use crate::postgres::answers::known::Asked;
use crate::postgres::answers::question::{Locale, Question};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;

/// A locale of a provider, and the version that a server has of it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct CollationVersion {
    /// `c` for the C library, `i` for ICU, `b` for `PostgreSQL` itself.
    pub provider: String,
    /// The provider's name for the locale.
    pub locale: String,
    /// None if the server does not know the version: of an order that never changes, and of the C library's `C.UTF-8`, which does.
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
    /// By what text is sorted and classified.
    pub locale: Locale,
}

impl CollationInUse {
    /// What is asked about it, since no version shows everything: the C library reports none for locales such as `C.UTF-8`, and
    /// full-text search follows `LC_CTYPE` whatever the provider is. Locales of bytes are the same everywhere.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        let is_default = self.oid == DEFAULT_COLLATION;
        let is_library = self.collation.provider == "c";
        let locale = || self.locale.clone();
        let questions = [
            (is_library && !is_bytes(&self.locale.collate)).then(|| Question::Order(locale())),
            (is_library && !is_bytes(&self.locale.ctype)).then(|| Question::Letters(locale())),
            is_default.then(|| Question::Words(locale())),
        ];
        let collation = if is_default { DEFAULT_NAME } else { &self.name };
        let asked = |question| Asked { question, collation: collation.to_owned() };
        questions.into_iter().flatten().map(asked).collect()
    }
}

/// Whether the C library compares and classifies single bytes in this locale.
fn is_bytes(locale: &str) -> bool {
    ["C", "POSIX"].contains(&locale)
}

/// The name of the database's default collation.
pub const DEFAULT_NAME: &str = "pg_catalog.\"default\"";
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
        if self.before == self.now {
            // The library has no version of it, or does not tell by it.
            return write!(f, "{} (sorts differently)", self.name);
        }
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

/// The collations in use in the database that `client` is connected to.
pub async fn collations_in_use(client: &Client, major: u32) -> Result<Vec<CollationInUse>, ServerError> {
    let failed = ServerError::query("the collations in use");
    let rows = client.query_typed(&query(major), &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        let text = |column: usize| row.try_get::<_, Lossy>(column).map(|Lossy(text)| text);
        let (provider, locale) = (text(2)?, text(3)?);
        Ok(CollationInUse {
            oid: row.try_get(0)?,
            name: text(1)?,
            locale: Locale {
                provider: provider.clone(),
                name: locale.clone(),
                collate: text(5)?,
                ctype: text(6)?,
                encoding: text(7)?,
            },
            collation: CollationVersion { provider, locale, version: row.try_get(4)? },
        })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// Locales that the C library has no version of.
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
        let locale = Locale::default();
        let now = CollationInUse { oid: 16400, name: "public.x".into(), collation: now, locale };
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
        let unversioned = ChangedCollation { now: None, ..changed };
        assert_eq!(unversioned.to_string(), "the default of shop (sorts differently)");
    }

    fn in_use(oid: u32, provider: &str, collate: &str, ctype: &str) -> CollationInUse {
        CollationInUse {
            oid,
            name: "public.x".into(),
            collation: collation(provider, collate, None),
            locale: Locale {
                provider: provider.into(),
                name: collate.into(),
                collate: collate.into(),
                ctype: ctype.into(),
                encoding: "UTF8".into(),
            },
        }
    }

    /// `o` for order, `l` for letters, `w` for words.
    #[rstest]
    #[case::without_version(100, "c", "C.UTF-8", "C.UTF-8", "olw")]
    #[case::with_a_version(100, "c", "de_DE", "de_DE", "olw")]
    #[case::letters_of_another_locale(100, "c", "C", "de_DE", "lw")]
    #[case::bytes(100, "c", "C", "POSIX", "w")]
    #[case::default_of_icu(100, "i", "de", "C", "w")]
    #[case::collation_of_a_column(16400, "c", "C.utf8", "C.utf8", "ol")]
    #[case::collation_of_icu(16400, "i", "de", "de", "")]
    fn collation_is_asked_about_what_its_version_does_not_show(
        #[case] oid: u32,
        #[case] provider: &str,
        #[case] collate: &str,
        #[case] ctype: &str,
        #[case] expected: &str,
    ) {
        let asked = in_use(oid, provider, collate, ctype).asked();
        let kind = |asked: &Asked| match asked.question {
            Question::Order(_) => 'o',
            Question::Letters(_) => 'l',
            Question::Words(_) => 'w',
            _ => '?',
        };
        assert_eq!(asked.iter().map(kind).collect::<String>(), expected);
        let name = if oid == DEFAULT_COLLATION { "pg_catalog.\"default\"" } else { "public.x" };
        assert!(asked.iter().all(|asked| asked.collation == name), "{asked:?}");
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
