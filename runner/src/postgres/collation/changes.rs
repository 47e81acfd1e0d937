//! What an upgrade changes about text: its order, the properties of letters, and the words of full-text search. The
//! servers have versions of the order; letters and words change with major versions of `PostgreSQL` itself.

use std::fmt;

use tokio_postgres::Client;

use super::versions::{
    ChangedCollation, CollationInUse, CollationVersion, DEFAULT_COLLATION, changed_collations, oids,
};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings_with;

/// What may have changed about text in one database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TextChanges {
    /// Collations that may sort differently.
    pub collations: Vec<ChangedCollation>,
    /// `PostgreSQL`'s own Unicode tables, which `normalize()` uses.
    unicode: UnicodeTables,
    /// OIDs of collations that classify and fold letters by those tables.
    letters: Vec<u32>,
    /// Whether words and trigrams may be determined differently.
    words: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum UnicodeTables {
    Unchanged,
    /// Those of another major version of `PostgreSQL`.
    Of(u32),
}

impl TextChanges {
    /// The differences between the server of major version `old`, with the collations `before`, and that of `new`.
    #[must_use]
    pub fn between(before: &[CollationVersion], now: &[CollationInUse], old: u32, new: u32) -> Self {
        let unicode = if old == new { UnicodeTables::Unchanged } else { UnicodeTables::Of(new) };
        let letters = match unicode {
            UnicodeTables::Unchanged => Vec::new(),
            UnicodeTables::Of(_) => now.iter().filter(|it| uses_unicode(it)).map(|it| it.oid).collect(),
        };
        let words = letters.contains(&DEFAULT_COLLATION) || words_leave_the_library(now, old, new);
        Self { collations: changed_collations(before, now), unicode, letters, words }
    }

    /// Whether nothing can depend on a change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.collations.is_empty() && self.unicode == UnicodeTables::Unchanged && !self.words
    }

    /// How to recognise what depends on the changes in the catalog of the database that `client` is connected to.
    pub async fn dependents(&self, client: &Client) -> Result<Dependents, ServerError> {
        let reordered = oids(&self.collations);
        let unicode = self.unicode != UnicodeTables::Unchanged;
        let letters: Vec<u32> = reordered.iter().chain(&self.letters).copied().collect();
        let what = "functions that depend on text";
        let sql = include_str!("../sql/dependent_expressions.sql");
        let pattern = strings_with(client, what, sql, &[&reordered, &letters, &unicode, &self.words]).await?;
        let extensions = extensions(self.words, &letters);
        Ok(Dependents { reordered, pattern: pattern.concat(), extensions, words: self.words })
    }
}

/// Extensions whose operator classes depend on what has changed; `letters` has the collations whose letters may differ.
/// Whatever collation a column of citext has, its letters are folded by the database's default.
fn extensions(words: bool, letters: &[u32]) -> Vec<&'static str> {
    let trigrams = words.then_some("pg_trgm");
    let folded = letters.contains(&DEFAULT_COLLATION).then_some("citext");
    trigrams.into_iter().chain(folded).collect()
}

fn uses_unicode(it: &CollationInUse) -> bool {
    it.collation.provider == "b" && it.collation.locale != "C"
}

/// 18 folds letters by the provider of the database's default, and 19 classifies them by it; before, the C library did
/// both, whatever the default was (their release notes, "Migration").
fn words_leave_the_library(now: &[CollationInUse], old: u32, new: u32) -> bool {
    let is_library = |it: &CollationInUse| it.oid == DEFAULT_COLLATION && it.collation.provider == "c";
    new >= 18 && old < new.min(19) && !now.iter().any(is_library)
}

/// How something that depends on changes is recognised in a catalog, as query parameters.
#[derive(Clone, Debug)]
pub struct Dependents {
    /// OIDs of collations that may sort differently.
    pub reordered: Vec<u32>,
    /// A regular expression for stored expressions (`{OPEXPR :opno 664 … :inputcollid 100 …}`) whose result may change.
    pub pattern: String,
    /// Extensions whose operator classes depend on what has changed.
    pub extensions: Vec<&'static str>,
    /// Whether words and trigrams may be determined differently.
    pub words: bool,
}

impl fmt::Display for TextChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut causes: Vec<String> = self.collations.iter().map(ToString::to_string).collect();
        if self.words {
            causes.push("words and trigrams (by the database's locale from this version on)".to_owned());
        }
        match self.unicode {
            UnicodeTables::Of(major) if !self.letters.is_empty() || causes.is_empty() => {
                causes.push(format!("letters (by the Unicode tables of PostgreSQL {major})"));
            }
            UnicodeTables::Of(_) | UnicodeTables::Unchanged => {}
        }
        f.write_str(&causes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn default_of(provider: &str, locale: &str) -> CollationInUse {
        let collation =
            CollationVersion { provider: provider.into(), locale: locale.into(), version: Some("1".into()) };
        CollationInUse { oid: DEFAULT_COLLATION, name: "the default of shop".into(), collation }
    }

    /// In a database with this default, whose order does not change.
    fn changes(provider: &str, locale: &str, old: u32, new: u32) -> TextChanges {
        let default = default_of(provider, locale);
        TextChanges::between(
            std::slice::from_ref(&default.collation),
            std::slice::from_ref(&default),
            old,
            new,
        )
    }

    #[rstest]
    #[case::of_the_library("c", "de_DE.UTF-8", 17, 18, false)]
    #[case::folded_by_icu("i", "de", 17, 18, true)]
    #[case::folded_by_postgresql("b", "C", 17, 18, true)]
    #[case::classified_by_icu("i", "de", 18, 19, true)]
    #[case::both_before("i", "de", 15, 17, false)]
    #[case::both_after("i", "de", 19, 20, false)]
    #[case::minor("i", "de", 18, 18, false)]
    #[case::default_with_other_unicode("b", "C.UTF-8", 19, 20, true)]
    fn words_change_if_they_leave_the_c_library(
        #[case] provider: &str,
        #[case] locale: &str,
        #[case] old: u32,
        #[case] new: u32,
        #[case] expected: bool,
    ) {
        assert_eq!(changes(provider, locale, old, new).words, expected);
    }

    #[rstest]
    #[case::postgresqls_own("b", "C.UTF-8", 17, 18, &[DEFAULT_COLLATION])]
    #[case::of_ascii_only("b", "C", 17, 18, &[])]
    #[case::of_the_library("c", "C.UTF-8", 17, 18, &[])]
    #[case::minor("b", "C.UTF-8", 18, 18, &[])]
    fn builtin_collations_change_letters_with_the_major_version(
        #[case] provider: &str,
        #[case] locale: &str,
        #[case] old: u32,
        #[case] new: u32,
        #[case] expected: &[u32],
    ) {
        assert_eq!(changes(provider, locale, old, new).letters, expected);
    }

    #[test]
    fn citext_depends_on_the_default_of_the_database_alone() {
        assert_eq!(extensions(false, &[DEFAULT_COLLATION]), ["citext"]);
        assert_eq!(extensions(true, &[DEFAULT_COLLATION, 16400]), ["pg_trgm", "citext"]);
        assert!(extensions(false, &[16400]).is_empty());
    }

    #[test]
    fn minor_upgrade_in_the_same_image_changes_no_text() {
        assert!(changes("b", "C.UTF-8", 18, 18).is_empty());
        assert!(!changes("c", "C", 13, 17).is_empty(), "normalize() may differ");
    }

    #[rstest]
    #[case("c", "C", 17, "letters (by the Unicode tables of PostgreSQL 18)")]
    #[case("i", "de", 17, "words and trigrams (by the database's locale from this version on)")]
    fn text_changes_are_shown_with_their_causes(
        #[case] provider: &str,
        #[case] locale: &str,
        #[case] old: u32,
        #[case] text: &str,
    ) {
        assert_eq!(changes(provider, locale, old, 18).to_string(), text);
    }
}
