//! The rights on users' objects, as facts: one line each, the same before and after an upgrade. What owns, is granted, runs or lets
//! rows pass may not be more afterwards; what keeps rows back may not be less.
//!
//! There may be hundreds of thousands, so of those before only digests are kept.

pub mod read;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::difference::Difference;
use crate::digest::digest;

/// Digits of a digest that are kept: 96 bits.
const DIGITS: usize = 24;

/// A table's privileges up to 16. `GRANT ALL` on a table is dumped as such, and includes `MAINTAIN` from 17 on.
const ALL_BEFORE_17: [&str; 7] =
    ["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"];
const SINCE_17: &str = "MAINTAIN";

/// The facts of a database.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Those that give rights.
    pub gives: Vec<Fact>,
    /// Those that take rights away.
    pub takes: BTreeSet<String>,
}

/// A fact that gives rights.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fact {
    /// What it is, up to a privilege.
    pub text: String,
    pub privilege: Option<Privilege>,
}

/// What is granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Privilege {
    pub name: String,
    pub is_grantable: bool,
}

/// The facts that are known from before.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct KnownFacts {
    gives: BTreeSet<String>,
    takes: BTreeSet<String>,
}

impl Fact {
    /// The same with another privilege.
    fn with(&self, name: &str, is_grantable: bool) -> String {
        let option = if is_grantable { " WITH GRANT OPTION" } else { "" };
        format!("{}: {name}{option}", self.text)
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.privilege {
            None => f.write_str(&self.text),
            Some(Privilege { name, is_grantable }) => f.write_str(&self.with(name, *is_grantable)),
        }
    }
}

impl KnownFacts {
    /// Keeps the facts from before.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let gives = facts.gives.iter().map(|fact| short(&fact.to_string())).collect();
        Self { gives, takes: facts.takes.clone() }
    }

    /// How large they are as they are stored, each with quotes and a comma.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.gives.iter().chain(&self.takes).map(|fact| fact.len() + 3).sum()
    }

    /// What has been gained or lost since then, by an upgrade from `old_major`, in the database `name`.
    #[must_use]
    pub fn compare(&self, name: &str, after: &Facts, old_major: u32) -> Vec<Difference> {
        let difference = |object: String, before: &str, after: &str| Difference {
            object,
            database: Some(name.to_owned()),
            before: before.to_owned(),
            after: after.to_owned(),
        };
        let gained = after.gives.iter().filter(|fact| !self.explains(fact, old_major));
        let gained = gained.map(|fact| difference(fact.to_string(), "does not exist", "exists"));
        let lost = self.takes.difference(&after.takes);
        gained.chain(lost.map(|fact| difference(fact.clone(), "exists", "does not exist"))).collect()
    }

    /// Whether a fact is known, or follows from others. A right to grant includes the right.
    fn explains(&self, fact: &Fact, old_major: u32) -> bool {
        let has = |text: &str| self.gives.contains(&short(text));
        let Some(Privilege { name, is_grantable }) = &fact.privilege else { return has(&fact.text) };
        let grants =
            |name: &str| has(&fact.with(name, true)) || !is_grantable && has(&fact.with(name, false));
        grants(name) || name == SINCE_17 && old_major < 17 && ALL_BEFORE_17.iter().all(|name| grants(name))
    }
}

fn short(text: &str) -> String {
    let mut digest = digest(text.as_bytes());
    digest.truncate(DIGITS);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(on: &str, name: &str, is_grantable: bool) -> Fact {
        let privilege = Some(Privilege { name: name.into(), is_grantable });
        Fact { text: format!("grant on relation: {on}, app"), privilege }
    }

    fn plain(text: &str) -> Fact {
        Fact { text: text.into(), privilege: None }
    }

    fn gained(before: &[Fact], after: &[Fact], old_major: u32) -> Vec<String> {
        let facts = |gives: &[Fact]| Facts { gives: gives.to_vec(), takes: BTreeSet::new() };
        let found = KnownFacts::of(&facts(before)).compare("shop", &facts(after), old_major);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fact_that_gives_rights_may_not_be_new() {
        let before = [plain("relation with owner: s, t, r, app"), plain("type with owner: s, d, app")];
        assert_eq!(gained(&before, &before[..1], 13), [""; 0]);
        let after = [before[0].clone(), plain("relation with owner: payroll, t, r, app")];
        let expected = "relation with owner: payroll, t, r, app in \"shop\": exists (before: does not exist)";
        assert_eq!(gained(&before, &after, 13), [expected]);
    }

    #[test]
    fn fact_that_takes_rights_may_not_be_lost() {
        let facts = |takes: &[&str]| Facts {
            gives: Vec::new(),
            takes: takes.iter().map(|&text| text.into()).collect(),
        };
        let before = KnownFacts::of(&facts(&["restrictive policy: s, t, p"]));
        assert_eq!(before.compare("shop", &facts(&["restrictive policy: s, t, p", "other"]), 13), []);
        let found = before.compare("shop", &facts(&[]), 13);
        let expected = "restrictive policy: s, t, p in \"shop\": does not exist (before: exists)";
        assert_eq!(found[0].to_string(), expected);
    }

    #[test]
    fn right_to_grant_includes_the_right_and_not_the_reverse() {
        let with = [grant("s, t", "SELECT", true)];
        let without = [grant("s, t", "SELECT", false)];
        assert_eq!(gained(&with, &without, 13), [""; 0]);
        let found = gained(&without, &with, 13);
        assert!(found[0].starts_with("grant on relation: s, t, app: SELECT WITH GRANT OPTION "), "{found:?}");
        assert_eq!(gained(&without, &[grant("s, other", "SELECT", false)], 13).len(), 1);
    }

    #[test]
    fn all_privileges_on_a_table_include_the_one_of_17() {
        let all: Vec<_> = ALL_BEFORE_17.iter().map(|name| grant("s, t", name, false)).collect();
        let maintain = [grant("s, t", SINCE_17, false)];
        assert_eq!(gained(&all, &maintain, 16), [""; 0]);
        assert_eq!(gained(&all, &maintain, 17).len(), 1);
        assert_eq!(gained(&all[1..], &maintain, 16).len(), 1);
    }

    #[test]
    fn known_facts_are_stored_and_read_again() {
        let takes = BTreeSet::from(["row security with force: s, t, f".to_owned()]);
        let known = KnownFacts::of(&Facts { gives: vec![grant("s, t", "SELECT", false)], takes });
        let json = serde_json::to_string(&known).unwrap();
        assert!(!json.contains("SELECT"), "{json}");
        assert!((json.len() - 30..=json.len()).contains(&known.bytes()), "{json}");
        assert_eq!(serde_json::from_str::<KnownFacts>(&json).unwrap(), known);
    }
}
