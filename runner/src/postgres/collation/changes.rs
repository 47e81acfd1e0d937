//! What an upgrade changes about text: its order, the letters, and the words of full-text search. Of the order
//! the servers have versions; letters and words change with major versions of `PostgreSQL` itself.

use std::fmt;

use tokio_postgres::Client;

use crate::postgres::client::session::{ServerError, strings_with};
use crate::postgres::collation::versions::{DEFAULT, Drift, InUse, Order, drift, oids};

/// What may have changed about text in one database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Changes {
    /// Collations that may sort in another way.
    pub order: Vec<Drift>,
    /// `PostgreSQL`'s own tables of Unicode, by which `normalize()` works.
    unicode: Tables,
    /// OIDs of collations that tell and fold letters by those tables.
    letters: Vec<u32>,
    /// Whether words and trigrams may be made in another way.
    words: bool,
}

/// Tables of Unicode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tables {
    Same,
    /// Those of another major version of `PostgreSQL`.
    Of(u32),
}

impl Changes {
    /// What differs between the server of major version `old`, with its orders `before`, and that of `new`.
    #[must_use]
    pub fn between(before: &[Order], now: &[InUse], old: u32, new: u32) -> Self {
        let is_by_unicode = |it: &&InUse| it.order.provider == "b" && it.order.locale != "C";
        let unicode = if old == new { Tables::Same } else { Tables::Of(new) };
        let letters: Vec<u32> = match unicode {
            Tables::Same => Vec::new(),
            Tables::Of(_) => now.iter().filter(is_by_unicode).map(|it| it.oid).collect(),
        };
        // 18 folds letters by the provider of the database's default, and 19 tells them by it; before, the C library
        // did whatever the default was (their release notes, "Migration").
        let left_the_library = new >= 18 && old < new.min(19);
        let is_of_the_library = |it: &InUse| it.oid == DEFAULT && it.order.provider == "c";
        let words = letters.contains(&DEFAULT) || left_the_library && !now.iter().any(is_of_the_library);
        Self { order: drift(before, now), unicode, letters, words }
    }

    /// Whether nothing can depend on a change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty() && self.unicode == Tables::Same && !self.words
    }

    /// How the catalog of the database which `client` is connected to shows what depends on them.
    pub async fn marks(&self, client: &Client) -> Result<Marks, ServerError> {
        let (reordered, unicode) = (oids(&self.order), self.unicode != Tables::Same);
        let letters: Vec<u32> = reordered.iter().chain(&self.letters).copied().collect();
        let what = "functions that depend on text";
        let pattern =
            strings_with(client, what, PATTERN, &[&reordered, &letters, &unicode, &self.words]).await?;
        let trigrams = self.words.then_some("pg_trgm");
        let folded = self.letters.contains(&DEFAULT).then_some("citext");
        let extensions = trigrams.into_iter().chain(folded).collect();
        Ok(Marks { reordered, pattern: pattern.concat(), extensions, words: self.words })
    }
}

/// What shows in a catalog that something depends on changes, as queries take it.
#[derive(Clone, Debug)]
pub struct Marks {
    /// OIDs of collations that may sort in another way.
    pub reordered: Vec<u32>,
    /// A regular expression for trees (`{OPEXPR :opno 664 … :inputcollid 100 …`) whose result may be another one now.
    pub pattern: String,
    /// Extensions whose operator classes fold letters of the database's default by themselves.
    pub extensions: Vec<&'static str>,
    /// Whether words and trigrams may be made in another way.
    pub words: bool,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut causes: Vec<String> = self.order.iter().map(ToString::to_string).collect();
        if self.words {
            causes.push(
                "words and trigrams, which this version finds by the locale of the database".to_owned(),
            );
        }
        match self.unicode {
            Tables::Of(major) if !self.letters.is_empty() || causes.is_empty() => {
                causes.push(format!("letters, by the Unicode of PostgreSQL {major}"));
            }
            Tables::Of(_) | Tables::Same => {}
        }
        f.write_str(&causes.join(", "))
    }
}

/// `$1` has the collations that sort in another way, `$2` those that have other letters, `$3` says whether Unicode
/// changes and `$4` whether words do.
const PATTERN: &str = "SELECT concat_ws('|', \
     ':opno (' || (SELECT string_agg(DISTINCT o.amopopr::text, '|') FROM pg_amop o JOIN pg_type t ON t.oid = o.amoplefttype \
         WHERE o.amopmethod = 403 AND o.amopstrategy <> 3 AND t.typcollation <> 0) \
         || ') [^{]*:inputcollid (' || array_to_string($1::oid[], '|') || ') ', \
     ':(op)?funcid (' || (SELECT string_agg(p.oid::text, '|') FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace \
         AND (p.proname ~ '^(lower|upper|initcap|casefold|substring|textregexsubstr|regexp_\\w+)$' \
             OR p.oid IN (SELECT oprcode FROM pg_operator WHERE oprname ~ '^!?~~?\\*?$' AND oprright = 'text'::regtype))) \
         || ') [^{]*:inputcollid (' || array_to_string($2::oid[], '|') || ') ', \
     CASE WHEN $3::bool THEN ':funcid (' || (SELECT string_agg(p.oid::text, '|') FROM pg_proc p \
         WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('normalize', 'is_normalized', 'unicode_assigned')) \
         || ') ' END, \
     CASE WHEN $4::bool THEN ':(op)?funcid (' || (SELECT string_agg(p.oid::text, '|') FROM pg_proc p \
         WHERE p.prorettype IN ('tsvector'::regtype, 'tsquery'::regtype) OR p.proname IN ('ts_match_tt', 'ts_match_tq') \
             OR EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.deptype = 'e' \
                 AND d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND e.extname = 'pg_trgm')) \
         || ') ' END)";

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn default_of(provider: &str, locale: &str) -> InUse {
        let order = Order { provider: provider.into(), locale: locale.into(), version: Some("1".into()) };
        InUse { oid: DEFAULT, name: "the default of shop".into(), order }
    }

    /// In a database with this default, of which the order stays.
    fn changes(provider: &str, locale: &str, old: u32, new: u32) -> Changes {
        let default = default_of(provider, locale);
        Changes::between(std::slice::from_ref(&default.order), std::slice::from_ref(&default), old, new)
    }

    #[rstest]
    #[case::the_librarys("c", "de_DE.UTF-8", 17, 18, false)]
    #[case::folded_by_icu("i", "de", 17, 18, true)]
    #[case::folded_by_postgresql("b", "C", 17, 18, true)]
    #[case::told_by_icu("i", "de", 18, 19, true)]
    #[case::before("i", "de", 15, 17, false)]
    #[case::and_after("i", "de", 19, 20, false)]
    #[case::minor("i", "de", 18, 18, false)]
    #[case::other_unicode_of_the_default("b", "C.UTF-8", 19, 20, true)]
    fn words_change_where_another_than_the_c_library_finds_them(
        #[case] provider: &str,
        #[case] locale: &str,
        #[case] old: u32,
        #[case] new: u32,
        #[case] expected: bool,
    ) {
        assert_eq!(changes(provider, locale, old, new).words, expected);
    }

    #[rstest]
    #[case::postgresqls_own("b", "C.UTF-8", 17, 18, &[DEFAULT])]
    #[case::of_ascii_only("b", "C", 17, 18, &[])]
    #[case::of_the_library("c", "C.UTF-8", 17, 18, &[])]
    #[case::minor("b", "C.UTF-8", 18, 18, &[])]
    fn letters_change_with_the_major_version_where_postgresql_itself_tells_them(
        #[case] provider: &str,
        #[case] locale: &str,
        #[case] old: u32,
        #[case] new: u32,
        #[case] expected: &[u32],
    ) {
        assert_eq!(changes(provider, locale, old, new).letters, expected);
    }

    #[test]
    fn a_minor_upgrade_in_the_same_image_changes_nothing() {
        assert!(changes("b", "C.UTF-8", 18, 18).is_empty());
        assert!(!changes("c", "C", 13, 17).is_empty(), "normalize() may be another");
    }

    #[rstest]
    #[case("c", "C", 17, "letters, by the Unicode of PostgreSQL 18")]
    #[case("i", "de", 17, "words and trigrams, which this version finds by the locale of the database")]
    fn the_causes_are_told(
        #[case] provider: &str,
        #[case] locale: &str,
        #[case] old: u32,
        #[case] text: &str,
    ) {
        assert_eq!(changes(provider, locale, old, 18).to_string(), text);
    }
}
