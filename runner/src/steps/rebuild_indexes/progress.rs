//! How far the rebuild of indexes is, kept in the request's report: a minor upgrade has no volume.

use serde::{Deserialize, Serialize};

/// An index of the server; they are rebuilt in this order.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place {
    /// Its database.
    pub database: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub index: String,
}

/// How far the rebuild is. One place says it all: what comes before it was tried, what comes after was not.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    at: Option<Place>,
    left: Vec<(Place, String)>,
}

/// Where an index stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// An earlier runner has tried it.
    Tried,
    /// An earlier runner was killed at it, and may have left something behind.
    Interrupted,
    /// Nobody has begun it.
    Open,
}

impl Progress {
    /// Where an index stands.
    #[must_use]
    pub fn standing(&self, place: &Place) -> Standing {
        match self.at.as_ref().map(|at| place.cmp(at)) {
            Some(std::cmp::Ordering::Less) => Standing::Tried,
            Some(std::cmp::Ordering::Equal) => Standing::Interrupted,
            Some(std::cmp::Ordering::Greater) | None => Standing::Open,
        }
    }

    /// Moves on to an index; durable before it is touched.
    pub fn begin(&mut self, place: Place) {
        self.at = Some(place);
    }

    /// Keeps that an index was not rebuilt, and why.
    pub fn leave(&mut self, place: Place, why: String) {
        self.left.push((place, why));
    }

    /// The indexes that were not rebuilt, and why.
    #[must_use]
    pub fn left(&self) -> &[(Place, String)] {
        &self.left
    }

    /// Whether every index of a database that was tried is done.
    #[must_use]
    pub fn is_clean(&self, database: &str) -> bool {
        self.left.iter().all(|(place, _)| place.database != database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(database: &str, index: &str) -> Place {
        Place { database: database.into(), schema: "public".into(), index: index.into() }
    }

    #[test]
    fn a_runner_that_is_started_again_carries_on_at_the_index_that_was_at_work() {
        let mut progress = Progress::default();
        assert_eq!(progress.standing(&place("shop", "a")), Standing::Open);
        progress.begin(place("shop", "b"));
        let json = serde_json::to_string(&progress).unwrap();
        let progress: Progress = serde_json::from_str(&json).unwrap();
        assert_eq!(progress.standing(&place("geo", "z")), Standing::Tried);
        assert_eq!(progress.standing(&place("shop", "a")), Standing::Tried);
        assert_eq!(progress.standing(&place("shop", "b")), Standing::Interrupted);
        assert_eq!(progress.standing(&place("shop", "c")), Standing::Open);
        assert_eq!(progress.standing(&place("web", "a")), Standing::Open);
    }

    #[test]
    fn an_index_that_was_not_rebuilt_is_remembered_with_its_database() {
        let mut progress = Progress::default();
        progress.begin(place("shop", "a"));
        progress.leave(place("shop", "a"), "duplicate".into());
        progress.begin(place("web", "a"));
        let json = serde_json::to_string(&progress).unwrap();
        let progress: Progress = serde_json::from_str(&json).unwrap();
        assert!(!progress.is_clean("shop") && progress.is_clean("web"));
        assert_eq!(progress.left(), [(place("shop", "a"), "duplicate".to_owned())]);
    }
}
