//! What the request's report keeps for `RebuildIndexes`: the collation versions of the old server, what it has answered about the
//! rules of text and time, and how far the rebuild is. In the report, because a minor upgrade has no volume.

use serde::{Deserialize, Serialize};

/// Part of the report: the collation versions before the upgrade.
pub const COLLATIONS_BEFORE: &str = "collations-before";
/// Part of the report: what the old server has answered.
pub const ANSWERS_BEFORE: &str = "answers-before";
/// Part of the report: how far the rebuild is.
pub const PROGRESS: &str = "rebuild-progress";

/// An index of the server; indexes are rebuilt in this order.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct IndexRef {
    pub database: String,
    pub schema: String,
    pub index: String,
}

/// How far the rebuild is. One index is enough to say so: those before it were tried, those after it were not.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    at: Option<IndexRef>,
    /// Indexes that were not rebuilt, and why.
    left: Vec<(IndexRef, String)>,
}

/// How far the rebuild of one index is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RebuildStatus {
    /// An earlier runner has tried it.
    Tried,
    /// An earlier runner was killed during its rebuild, and may have left something behind.
    Interrupted,
    /// It has not been started.
    Open,
}

impl Progress {
    #[must_use]
    pub fn status(&self, index: &IndexRef) -> RebuildStatus {
        match self.at.as_ref().map(|at| index.cmp(at)) {
            Some(std::cmp::Ordering::Less) => RebuildStatus::Tried,
            Some(std::cmp::Ordering::Equal) => RebuildStatus::Interrupted,
            Some(std::cmp::Ordering::Greater) | None => RebuildStatus::Open,
        }
    }

    /// Moves on to an index; to be stored before the index is touched.
    pub fn start(&mut self, index: IndexRef) {
        self.at = Some(index);
    }

    /// Records that an index was not rebuilt, and why.
    pub fn record_failure(&mut self, index: IndexRef, why: String) {
        self.left.push((index, why));
    }

    /// The indexes that were not rebuilt, and why.
    #[must_use]
    pub fn failures(&self) -> &[(IndexRef, String)] {
        &self.left
    }

    /// Whether no index of a database failed so far.
    #[must_use]
    pub fn is_clean(&self, database: &str) -> bool {
        self.left.iter().all(|(index, _)| index.database != database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(database: &str, index: &str) -> IndexRef {
        IndexRef { database: database.into(), schema: "public".into(), index: index.into() }
    }

    #[test]
    fn restarted_runner_continues_at_the_interrupted_index() {
        let mut progress = Progress::default();
        assert_eq!(progress.status(&index("shop", "a")), RebuildStatus::Open);
        progress.start(index("shop", "b"));
        let json = serde_json::to_string(&progress).unwrap();
        let progress: Progress = serde_json::from_str(&json).unwrap();
        assert_eq!(progress.status(&index("geo", "z")), RebuildStatus::Tried);
        assert_eq!(progress.status(&index("shop", "a")), RebuildStatus::Tried);
        assert_eq!(progress.status(&index("shop", "b")), RebuildStatus::Interrupted);
        assert_eq!(progress.status(&index("shop", "c")), RebuildStatus::Open);
        assert_eq!(progress.status(&index("web", "a")), RebuildStatus::Open);
    }

    #[test]
    fn failed_index_is_remembered_with_its_database() {
        let mut progress = Progress::default();
        progress.start(index("shop", "a"));
        progress.record_failure(index("shop", "a"), "duplicate".into());
        progress.start(index("web", "a"));
        let json = serde_json::to_string(&progress).unwrap();
        let progress: Progress = serde_json::from_str(&json).unwrap();
        assert!(!progress.is_clean("shop") && progress.is_clean("web"));
        assert_eq!(progress.failures(), [(index("shop", "a"), "duplicate".to_owned())]);
    }

    /// As v0.1.0 writes it: a rebuild that was started then is continued now.
    #[test]
    fn progress_keeps_its_stored_form() {
        let stored = concat!(
            r#"{"at":{"database":"web","schema":"public","index":"b"},"#,
            r#""left":[[{"database":"shop","schema":"public","index":"a"},"duplicate"]]}"#
        );
        let mut progress = Progress::default();
        progress.start(index("web", "b"));
        progress.record_failure(index("shop", "a"), "duplicate".into());
        assert_eq!(serde_json::to_string(&progress).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Progress>(stored).unwrap(), progress);
    }
}
