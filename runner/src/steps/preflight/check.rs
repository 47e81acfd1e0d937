//! What a check of the system catalogs is.

use crate::upgrade::Weight;

/// One check of the serving database.
pub struct Check {
    /// Id of the finding.
    pub id: &'static str,
    /// What an object that is found means for the upgrade.
    pub weight: Weight,
    /// Where the query runs.
    pub scope: CheckScope,
    /// Whether it applies to this pair of major versions.
    pub applies: fn(old: u32, new: u32) -> bool,
    pub question: Question,
    /// What to do about the objects, whose names follow.
    pub remedy: &'static str,
}

/// Where a query runs.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum CheckScope {
    /// The server as a whole.
    Server,
    /// Each database.
    Database,
}

/// What a check looks for.
pub enum Question {
    /// A query with a column of text: the names of the objects that block the upgrade. A second column may have the extension
    /// that an object belongs to.
    Sql(&'static str),
    /// Stored columns of these types: a condition on `pg_type t` and its `pg_namespace n`.
    StoredColumnsOf(&'static str),
}

impl Question {
    /// The condition on the types of stored columns, if it is about these.
    pub fn stored_types(&self) -> Option<&'static str> {
        match self {
            Self::Sql(_) => None,
            Self::StoredColumnsOf(types) => Some(*types),
        }
    }
}
