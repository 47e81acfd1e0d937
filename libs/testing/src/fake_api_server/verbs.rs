//! The kinds of writes that the server tells apart.

/// What clients do to objects, as far as a test can refuse it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Verb {
    Create,
    Change,
    Delete,
}

/// What a patch means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PatchType {
    Merge,
    /// It merges lists by their keys.
    Strategic,
    /// It is a list of operations.
    Json,
    /// It creates the object if there is none.
    Apply,
}

impl PatchType {
    pub(super) fn of(content_type: Option<&str>) -> Self {
        match content_type {
            Some("application/strategic-merge-patch+json") => Self::Strategic,
            Some("application/apply-patch+yaml") => Self::Apply,
            Some("application/json-patch+json") => Self::Json,
            _ => Self::Merge,
        }
    }
}
