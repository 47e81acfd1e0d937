//! What the preflight finds: an id, the objects, the remedy.

use std::fmt;
use std::path::Path;

use pgops_api::bounded_lines;

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

/// The longest that a list shows of one finding, in bytes.
const MAX_SHOWN: usize = 4 << 10;
/// The longest list of findings in a message, in bytes: it is shown in a condition, with a few words more.
pub const MAX_LISTED: usize = 27 << 10;

/// As many of the findings as a message can hold, blocking ones first, and how many more there are.
#[must_use]
pub fn listed(findings: &[Finding]) -> String {
    let (blocking, notes): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.blocks());
    let lines: Vec<_> = blocking.into_iter().chain(notes).map(ToString::to_string).collect();
    shown_lines(&lines, MAX_LISTED)
}

/// As many lines of the preflight as fit into `limit` bytes, and how many more there are.
#[must_use]
pub fn shown_lines(lines: &[String], limit: usize) -> String {
    bounded_lines(lines, MAX_SHOWN, limit, |more| {
        format!("… and {more} more; all of them are in the Job's log")
    })
}

/// How many objects a finding names.
const MAX_NAMED: usize = 10;

/// The first objects by name, and how many more there are.
#[must_use]
pub fn shortened(objects: &[String]) -> String {
    objects.iter().cloned().collect::<Named>().to_string()
}

/// The first of any number of objects by name, and how many more there are.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Named {
    first: Vec<String>,
    more: usize,
}

impl Named {
    pub fn add(&mut self, name: String) {
        if self.first.len() < MAX_NAMED {
            self.first.push(name);
        } else {
            self.more += 1;
        }
    }

    /// Adds those of another list.
    pub fn append(&mut self, other: Self) {
        for name in other.first {
            self.add(name);
        }
        self.more += other.more;
    }

    /// How many there are in all.
    #[must_use]
    pub fn count(&self) -> usize {
        self.first.len() + self.more
    }

    /// Whether there are more than are named.
    #[must_use]
    pub fn is_shortened(&self) -> bool {
        self.more > 0
    }
}

impl FromIterator<String> for Named {
    fn from_iter<I: IntoIterator<Item = String>>(objects: I) -> Self {
        let mut named = Self::default();
        for object in objects {
            named.add(object);
        }
        named
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
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
        let named: Named = objects.into_iter().collect();
        assert!(named.is_shortened() && named.count() == 12);
    }
}
