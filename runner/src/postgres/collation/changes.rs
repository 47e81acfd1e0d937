//! What an upgrade changes about text and time: the order of text, the properties of letters, the words and lexemes of full-text
//! search, the rules of time zones. The servers have versions of most orders, and answer questions about the rest; letters and
//! stems also change with major versions of `PostgreSQL` itself.

use std::fmt;

use super::comparison::Comparison;
use super::rules::{RulesBefore, RulesInUse};
use super::versions::{ChangedCollation, CollationInUse, DEFAULT_COLLATION, changed_collations};
use crate::postgres::answers::known::Answers;
use crate::postgres::answers::question::Question;
use crate::postgres::references::dictionaries::Dictionary;

/// What may have changed in one database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleChanges {
    /// Collations that may sort differently.
    pub collations: Vec<ChangedCollation>,
    /// `PostgreSQL`'s own Unicode tables, which `normalize()` uses.
    unicode: UnicodeTables,
    /// OIDs of collations that classify and fold letters by those tables.
    unicode_letters: Vec<u32>,
    /// OIDs of collations of the C library that may do so differently.
    library_letters: Vec<u32>,
    /// Whether words and trigrams may be determined differently.
    pub words: bool,
    /// Text search dictionaries that may give other lexemes.
    pub dictionaries: Vec<Dictionary>,
    /// Time zones that may have other rules, as they are written in the database.
    pub zones: Vec<String>,
    /// Whether any time zone may have other rules, for expressions that take it from a row.
    pub every_zone: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum UnicodeTables {
    Unchanged,
    /// Those of another major version of `PostgreSQL`.
    Of(u32),
}

impl RuleChanges {
    /// The differences between the server of major version `old`, with the rules `before`, and that of `new`, which gives these
    /// answers about what a database uses `now`.
    #[must_use]
    pub fn between(before: &RulesBefore, now: &RulesInUse, answers: &Answers, old: u32, new: u32) -> Self {
        let comparison = Comparison { before: &before.answers, now: answers };
        let unicode = if old == new { UnicodeTables::Unchanged } else { UnicodeTables::Of(new) };
        let oids_of = |is_changed: &dyn Fn(&CollationInUse) -> bool| -> Vec<u32> {
            now.collations.iter().filter(|it| is_changed(it)).map(|it| it.oid).collect()
        };
        let unicode_letters = oids_of(&|it| unicode != UnicodeTables::Unchanged && uses_unicode(it));
        let library_letters = oids_of(&|it| comparison.folds_differently(it));
        let words = unicode_letters.iter().chain(&library_letters).any(|oid| *oid == DEFAULT_COLLATION)
            || words_leave_the_library(&now.collations, old, new)
            || now.collations.iter().any(|it| comparison.splits_differently(it));
        let mut collations = changed_collations(&before.collations, &now.collations);
        for it in now.collations.iter().filter(|it| comparison.sorts_differently(it)) {
            if collations.iter().all(|changed| changed.oid != it.oid) {
                let version = it.collation.version.clone();
                let (oid, name) = (it.oid, it.name.clone());
                collations.push(ChangedCollation { oid, name, before: version.clone(), now: version });
            }
        }
        let zones = now.zones.named.iter().filter(|zone| comparison.has_other_rules(zone));
        Self {
            collations,
            unicode,
            unicode_letters,
            library_letters,
            words,
            dictionaries: comparison.changed_dictionaries(&now.dictionaries, old, new),
            zones: zones.cloned().collect(),
            every_zone: now.zones.from_rows && comparison.differs(&Question::EveryZone).may_matter(),
        }
    }

    /// Whether nothing can depend on a change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.collations.is_empty()
            && self.unicode == UnicodeTables::Unchanged
            && self.library_letters.is_empty()
            && !self.words
            && self.dictionaries.is_empty()
            && self.zones.is_empty()
            && !self.every_zone
    }

    /// OIDs of collations that may classify and fold letters differently.
    pub fn letters(&self) -> impl Iterator<Item = u32> {
        self.unicode_letters.iter().chain(&self.library_letters).copied()
    }

    /// Whether `PostgreSQL`'s own Unicode tables are others.
    #[must_use]
    pub fn has_other_unicode(&self) -> bool {
        self.unicode != UnicodeTables::Unchanged
    }
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

/// How many dictionaries and time zones are named.
const MAX_NAMED: usize = 5;

impl fmt::Display for RuleChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut causes: Vec<String> = self.collations.iter().map(ToString::to_string).collect();
        if self.words {
            causes.push("words and trigrams (by other rules for letters)".to_owned());
        }
        // What sorts differently is named already.
        let is_new = |oid: &u32| self.collations.iter().all(|changed| changed.oid != *oid);
        if self.library_letters.iter().any(is_new) {
            causes.push("letters (by the C library of the image)".to_owned());
        }
        let dictionaries = self.dictionaries.iter().map(|dictionary| dictionary.name.clone());
        causes.extend(named("text search dictionaries", dictionaries.collect()));
        causes.extend(named("rules of the time zones", self.zones.clone()));
        if self.every_zone {
            causes.push("rules of time zones that rows name".to_owned());
        }
        match self.unicode {
            UnicodeTables::Of(major) if !self.unicode_letters.is_empty() || causes.is_empty() => {
                causes.push(format!("letters (by the Unicode tables of PostgreSQL {major})"));
            }
            UnicodeTables::Of(_) | UnicodeTables::Unchanged => {}
        }
        f.write_str(&causes.join(", "))
    }
}

/// The first few by name, and how many more there are.
fn named(what: &str, names: Vec<String>) -> Option<String> {
    let more = names.len().saturating_sub(MAX_NAMED);
    let first = names.into_iter().take(MAX_NAMED).collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!first.is_empty()).then(|| format!("{what} {first}{more}"))
}

#[cfg(test)]
mod tests;
