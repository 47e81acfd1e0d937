//! What the preflight finds: an id, the objects, the remedy.

use std::fmt;

/// One thing that would make the upgrade fail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// A stable name in kebab case.
    pub id: &'static str,
    /// What was found, with the objects' names, and what to do about it.
    pub text: String,
}

impl Finding {
    /// A finding.
    pub fn new(id: &'static str, text: impl Into<String>) -> Self {
        Self { id, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.id, self.text)
    }
}
