//! What the preflight finds: an id, the objects, the remedy.

use std::fmt;
use std::path::Path;

/// What a finding means for the upgrade.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// The upgrade would fail, or lose something.
    Blocks,
    /// The upgrade proceeds; the operator should know.
    Note,
}

/// One thing that the operator should know before the upgrade.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// A stable name in kebab case.
    pub id: &'static str,
    pub weight: Weight,
    /// What was found, with the objects' names, and what to do about it.
    pub text: String,
}

impl Finding {
    /// A finding that blocks the upgrade.
    pub fn new(id: &'static str, text: impl Into<String>) -> Self {
        Self { id, weight: Weight::Blocks, text: text.into() }
    }

    /// A finding that does not block the upgrade.
    pub fn note(id: &'static str, text: impl Into<String>) -> Self {
        Self { weight: Weight::Note, ..Self::new(id, text) }
    }

    /// The new data directory exists already, and this upgrade did not create it.
    #[must_use]
    pub fn existing_directory(pgdata: &Path) -> Self {
        let text = format!(
            "{} exists already and does not belong to this upgrade: move it away or remove it",
            pgdata.display()
        );
        Self::new("directory-in-the-way", text)
    }

    #[must_use]
    pub fn blocks(&self) -> bool {
        self.weight == Weight::Blocks
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = if self.blocks() { "" } else { "note: " };
        write!(f, "[{}] {note}{}", self.id, self.text)
    }
}

/// How many objects a finding names.
const MAX_NAMED: usize = 10;

/// The first objects by name, and how many more there are.
#[must_use]
pub fn shortened(objects: &[String]) -> String {
    let named = objects.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match objects.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_is_labelled_as_one() {
        assert_eq!(Finding::new("a-b", "x").to_string(), "[a-b] x");
        assert_eq!(Finding::note("a-b", "x").to_string(), "[a-b] note: x");
    }

    #[test]
    fn long_list_is_shortened_and_counted() {
        let objects: Vec<_> = (1..=12).map(|number| format!("t{number}")).collect();
        assert_eq!(shortened(&objects[..2]), "t1, t2");
        assert!(shortened(&objects).ends_with("t10 and 2 more"));
    }
}
