//! The shortest sequence of upgrades between two versions.

use std::collections::{HashMap, VecDeque};

use super::entry::Entry;
use super::rules::Matrix;

/// Upgrades that the search may examine: a suggestion must never delay an answer.
const SEARCH_BUDGET: usize = 50_000;

impl<'a> Matrix<'a> {
    /// The names of the versions on the shortest path from one version to another. Among paths of equal
    /// length it prefers new versions, and avoids versions that are deprecated, end of life or known to be
    /// faulty.
    ///
    /// No upgrade on the path leads to an older minor release, and every stop must fit the platform of both
    /// ends: a stop with an unspecified platform must not be a way around a rule. None if there is no path,
    /// or the search exceeds its budget.
    #[must_use]
    pub fn shortest_path(self, from: &str, to: &str) -> Option<Vec<&'a str>> {
        let start = self.catalog.get(from)?;
        let goal = self.catalog.get(to)?;
        let fits = |from: &Entry, to: &Entry| self.platform_objection(from, to).is_none();
        if start.name() == goal.name() || !fits(start, goal) {
            return None;
        }
        let mut stops: Vec<&Entry> = self
            .catalog
            .entries()
            .iter()
            .filter(|stop| stop.version.postgres_major() <= goal.version.postgres_major())
            .filter(|stop| fits(start, stop) && fits(stop, goal))
            .collect();
        // Stable: among equals the new versions stay first.
        stops.sort_by_cached_key(|stop| drawback(stop));

        let leads = |from: &Entry, to: &Entry| to.version >= from.version && self.suggests(from, to);
        if leads(start, goal) {
            return Some(vec![start.name(), goal.name()]);
        }
        let mut came_from = HashMap::from([(start.name(), None)]);
        let mut queue = VecDeque::from([start]);
        let mut budget = SEARCH_BUDGET;
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
}

/// Why a stop is avoided if there is another one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Drawback {
    None,
    /// It is a stop on the way to a newer version only.
    Vulnerable,
    /// Deprecated, end of life, or a release to skip.
    Outdated,
}

fn drawback(stop: &Entry) -> Drawback {
    match stop.fault() {
        _ if stop.deprecated || stop.end_of_life => Drawback::Outdated,
        Some(fault) if fault.is_regression() => Drawback::Outdated,
        Some(_) => Drawback::Vulnerable,
        None => Drawback::None,
    }
}

/// The path from the start to the goal, from the predecessors that the search recorded.
fn walk_back<'a>(
    came_from: &HashMap<&'a str, Option<&'a str>>,
    last: &'a str,
    goal: &'a str,
) -> Vec<&'a str> {
    let stops = std::iter::successors(Some(last), |name| came_from.get(name).copied().flatten());
    let mut path: Vec<&str> = std::iter::once(goal).chain(stops).collect();
    path.reverse();
    path
}
