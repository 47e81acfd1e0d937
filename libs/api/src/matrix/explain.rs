//! What a user can do instead of a refused move.

use std::collections::{HashMap, HashSet, VecDeque};

use super::refusal::{Reason, Refusal, Unknown};
use super::{BaseOsChange, Catalog, Entry, Matrix};

/// Targets that a message lists before it only counts them.
const SHOWN_TARGETS: usize = 12;
/// Names that a message proposes for an unknown one.
const SHOWN_NEAREST: usize = 3;
/// Likeness below which a name is no proposal; 1 is the same name.
const LIKENESS: f64 = 0.87;
/// Moves that the search for a path may look at: a proposal must never delay an answer.
const PATH_BUDGET: usize = 50_000;

impl<'a> Matrix<'a> {
    /// Names that a database with `from` may move to, newest first; `from` itself is not among them.
    #[must_use]
    pub fn allowed_targets(self, from: &str) -> Vec<&'a str> {
        let current = self.catalog.get(from);
        current.map(|current| self.targets(current).map(Entry::name).collect()).unwrap_or_default()
    }

    fn targets(self, current: &'a Entry) -> impl Iterator<Item = &'a Entry> {
        self.catalog.entries().iter().filter(move |target| {
            target.name() != current.name() && current.objection(target, self.base_os).is_none()
        })
    }

    /// Whether a message may propose this target: the matrix allows it, and pgops can work with it.
    pub(super) fn proposes(self, current: &Entry, target: &Entry) -> bool {
        current.objection(target, self.base_os).is_none() && target.release().is_ok()
    }

    /// The refusal's sentence and what is possible instead; `database` is its `namespace/name`.
    #[must_use]
    pub fn explain(self, refusal: &Refusal, database: &str) -> String {
        let (from, to) = refusal.names();
        let sentence = refusal.to_string();
        match refusal.reason() {
            Reason::UnknownSource => sentence,
            Reason::Constraints if matches!(refusal, Refusal::Unreadable { .. }) => sentence,
            Reason::Constraints => {
                let targets = self.targets_sentence(from, database);
                let path = self
                    .shortest_path(from, to)
                    .map(|path| format!(". In {} upgrades: {}", in_words(path.len() - 1), path.join(" → ")));
                join(&sentence, &targets) + &path.unwrap_or_default()
            }
            _ => join(&sentence, &self.targets_sentence(from, database)),
        }
    }

    fn targets_sentence(self, from: &str, database: &str) -> String {
        let proposed =
            |current| self.targets(current).filter(|target| self.proposes(current, target)).collect();
        let targets: Vec<&Entry> = self.catalog.get(from).map(proposed).unwrap_or_default();
        match targets.as_slice() {
            [] => format!("The catalog has no allowed target for {database} ({from})"),
            targets => format!("Allowed targets for {database} ({from}): {}", shorten(targets)),
        }
    }

    /// The fewest moves from one version to another, by names; among as short ones the newest, and
    /// through no version that is deprecated, at its end of life or known to be faulty if that can be.
    ///
    /// No move goes back to an older minor release, and every stop must fit the platform of both ends: a
    /// stop that says nothing of its own is no way around a rule. None if there is no path, or none was found in reasonable time.
    #[must_use]
    pub fn shortest_path(self, from: &str, to: &str) -> Option<Vec<&'a str>> {
        let (start, goal) = (self.catalog.get(from)?, self.catalog.get(to)?);
        if start.name() == goal.name() || self.parts(start, goal) {
            return None;
        }
        let (outdated, mut stops): (Vec<&Entry>, Vec<&Entry>) = self
            .catalog
            .entries()
            .iter()
            .filter(|stop| stop.version.postgres_major() <= goal.version.postgres_major())
            .filter(|stop| !self.parts(start, stop) && !self.parts(stop, goal))
            .partition(|stop| stop.deprecated || stop.end_of_life || stop.fault().is_some());
        stops.extend(outdated);

        let leads = |from: &Entry, to: &Entry| to.version >= from.version && self.proposes(from, to);
        if leads(start, goal) {
            return Some(vec![start.name(), goal.name()]);
        }
        let mut came_from = HashMap::from([(start.name(), None)]);
        let mut queue = VecDeque::from([start]);
        let mut budget = PATH_BUDGET;
        while let Some(current) = queue.pop_front() {
            budget = budget.checked_sub(stops.len())?;
            for &stop in &stops {
                if came_from.contains_key(stop.name()) || !leads(current, stop) {
                    continue;
                }
                came_from.insert(stop.name(), Some(current.name()));
                if leads(stop, goal) {
                    return Some(walk_back(&came_from, stop.name(), goal.name()));
                }
                queue.push_back(stop);
            }
        }
        None
    }

    /// Whether base system or distribution stand between the two.
    fn parts(self, from: &Entry, to: &Entry) -> bool {
        from.platform_objection(to, self.base_os).is_some()
    }
}

impl Catalog {
    /// As [`Matrix::explain`], for a request that keeps the base system.
    #[must_use]
    pub fn explain(&self, refusal: &Refusal, database: &str) -> String {
        self.with_base_os_change(BaseOsChange::Refused).explain(refusal, database)
    }

    /// Says of a name that [`Catalog::get`] does not have what is wrong with it, and which names there are.
    #[must_use]
    pub fn explain_unknown(&self, name: &str) -> String {
        let unknown = self.unknown(name, |_| true).to_string();
        let names: Vec<&Entry> = self.entries().iter().collect();
        match names.as_slice() {
            [] => join(&unknown, "The catalog is empty: create PostgresVersions first"),
            names => join(&unknown, &format!("The catalog has {}", shorten(names))),
        }
    }

    /// What is known of a name that the catalog does not have; proposes names that fit, if any are alike.
    pub(super) fn unknown(&self, name: &str, fits: impl Fn(&Entry) -> bool) -> Unknown {
        // Whoever named an entry that is there did not mean another.
        if let Some(error) = self.ignored.get(name) {
            return Unknown { name: name.to_owned(), ignored: Some(error.clone()), nearest: Vec::new() };
        }
        let mut alike: Vec<(bool, f64, &str)> = self
            .entries()
            .iter()
            .map(|entry| (fits(entry), strsim::jaro_winkler(name, entry.name()), entry.name()))
            .filter(|(_, likeness, other)| *likeness >= LIKENESS || other.starts_with(name))
            .collect();
        let any_fits = alike.iter().any(|(fits, ..)| *fits);
        alike.retain(|(fits, ..)| *fits == any_fits);
        // Stable: among as like ones the newest stays first.
        alike.sort_by(|a, b| b.1.total_cmp(&a.1));
        Unknown {
            name: name.to_owned(),
            ignored: None,
            nearest: alike.into_iter().take(SHOWN_NEAREST).map(|(.., other)| other.to_owned()).collect(),
        }
    }
}

/// Puts two sentences one behind the other.
fn join(first: &str, second: &str) -> String {
    let end = if first.ends_with('?') { "" } else { "." };
    format!("{first}{end} {second}")
}

/// Lists the newest of each major version and the newest of all, up to a number that one can read.
fn shorten(targets: &[&Entry]) -> String {
    let mut majors = HashSet::new();
    let (newest, others): (Vec<usize>, Vec<usize>) =
        (0..targets.len()).partition(|&at| majors.insert(targets[at].version.postgres_major()));
    let mut chosen: Vec<usize> = newest.into_iter().chain(others).take(SHOWN_TARGETS).collect();
    chosen.sort_unstable();
    let shown: Vec<&str> = chosen.into_iter().map(|at| targets[at].name()).collect();
    match targets.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn walk_back<'a>(
    came_from: &HashMap<&'a str, Option<&'a str>>,
    last: &'a str,
    goal: &'a str,
) -> Vec<&'a str> {
    let way = std::iter::successors(Some(last), |name| came_from.get(name).copied().flatten());
    let mut path: Vec<&str> = std::iter::once(goal).chain(way).collect();
    path.reverse();
    path
}

fn in_words(number: usize) -> String {
    const WORDS: [&str; 6] = ["no", "one", "two", "three", "four", "five"];
    WORDS.get(number).map_or_else(|| number.to_string(), |word| (*word).to_owned())
}
