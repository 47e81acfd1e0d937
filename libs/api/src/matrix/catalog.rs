//! The catalog: all `PostgresVersion` objects, parsed once.

use std::collections::BTreeMap;

use super::entry::Entry;
use crate::constraint::VersionError;
use crate::postgresversion::PostgresVersionSpec;

/// All entries of the catalog.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Newest first.
    entries: Vec<Entry>,
    index: BTreeMap<String, usize>,
    ignored: BTreeMap<String, VersionError>,
}

impl Catalog {
    /// Parses the entries. One whose version cannot be parsed is ignored and does not affect the others.
    pub fn new<'a>(specs: impl IntoIterator<Item = (&'a str, &'a PostgresVersionSpec)>) -> Self {
        let mut catalog = Self::default();
        for (name, spec) in specs {
            match Entry::new(name, spec) {
                Ok(entry) => catalog.entries.push(entry),
                Err(error) => {
                    catalog.ignored.insert(name.to_owned(), error);
                }
            }
        }
        catalog.entries.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| a.name().cmp(b.name())));
        catalog.index =
            catalog.entries.iter().enumerate().map(|(at, entry)| (entry.name().to_owned(), at)).collect();
        catalog
    }

    /// The entry of that name, if it exists and its version could be parsed.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.index.get(name).map(|at| &self.entries[*at])
    }

    /// All entries, newest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Names of the ignored entries, and why each is ignored.
    pub fn ignored(&self) -> impl Iterator<Item = (&str, &VersionError)> {
        self.ignored.iter().map(|(name, error)| (name.as_str(), error))
    }

    /// Why the entry of that name is ignored, if it is.
    pub(super) fn ignored_error(&self, name: &str) -> Option<&VersionError> {
        self.ignored.get(name)
    }
}
