//! What a user can do instead of a refused upgrade.

use std::collections::HashSet;

use super::base_os::BaseOsChange;
use super::catalog::Catalog;
use super::entry::Entry;
use super::refusal::{Reason, Refusal};
use super::rules::Matrix;

/// Number of targets that a message lists before it only counts them.
const MAX_LISTED: usize = 12;

impl Matrix<'_> {
    /// The refusal's message, and the possible upgrades; `database` is its `namespace/name`.
    #[must_use]
    pub fn explain(self, refusal: &Refusal, database: &str) -> String {
        let (from, to) = refusal.names();
        let sentence = refusal.to_string();
        match refusal.reason() {
            Reason::UnknownSource => sentence,
            Reason::Constraints if matches!(refusal, Refusal::InvalidConstraint { .. }) => sentence,
            Reason::Constraints => {
                let targets = self.targets_sentence(from, database);
                let path = self
                    .shortest_path(from, to)
                    .map(|path| format!(". In {} upgrades: {}", spell_out(path.len() - 1), path.join(" → ")));
                join(&sentence, &targets) + &path.unwrap_or_default()
            }
            _ => join(&sentence, &self.targets_sentence(from, database)),
        }
    }

    fn targets_sentence(self, from: &str, database: &str) -> String {
        let suggested =
            |current| self.targets(current).filter(|target| self.suggests(current, target)).collect();
        let targets: Vec<&Entry> = self.catalog.get(from).map(suggested).unwrap_or_default();
        match targets.as_slice() {
            [] => format!("The catalog has no allowed target for {database} ({from})"),
            targets => format!("Allowed targets for {database} ({from}): {}", list_targets(targets)),
        }
    }
}

impl Catalog {
    /// Like [`Matrix::explain`], for a request that keeps the base system.
    #[must_use]
    pub fn explain(&self, refusal: &Refusal, database: &str) -> String {
        self.with_base_os_change(BaseOsChange::Refused).explain(refusal, database)
    }

    /// The message for a name that [`Catalog::get`] does not find: what is wrong with it, and the names that
    /// exist.
    #[must_use]
    pub fn explain_unknown(&self, name: &str) -> String {
        let unknown = self.unknown(name, |_| true).to_string();
        let names: Vec<&Entry> = self.entries().iter().collect();
        match names.as_slice() {
            [] => join(&unknown, "The catalog is empty: create PostgresVersions first"),
            names => join(&unknown, &format!("The catalog has {}", list_targets(names))),
        }
    }
}

/// Joins two sentences.
fn join(first: &str, second: &str) -> String {
    let end = if first.ends_with('?') { "" } else { "." };
    format!("{first}{end} {second}")
}

/// Lists the newest of each major version and then the newest of all, up to [`MAX_LISTED`].
fn list_targets(targets: &[&Entry]) -> String {
    let mut majors = HashSet::new();
    let (newest, others): (Vec<usize>, Vec<usize>) =
        (0..targets.len()).partition(|&at| majors.insert(targets[at].version.postgres_major()));
    let mut chosen: Vec<usize> = newest.into_iter().chain(others).take(MAX_LISTED).collect();
    chosen.sort_unstable();
    let shown: Vec<&str> = chosen.into_iter().map(|at| targets[at].name()).collect();
    match targets.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn spell_out(number: usize) -> String {
    const WORDS: [&str; 6] = ["no", "one", "two", "three", "four", "five"];
    WORDS.get(number).map_or_else(|| number.to_string(), |word| (*word).to_owned())
}
