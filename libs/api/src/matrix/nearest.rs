//! Suggestions for a name that the catalog does not have.

use super::catalog::Catalog;
use super::entry::Entry;
use super::refusal::Unknown;
use crate::nearest::MIN_SIMILARITY;

/// Number of names that a message suggests for an unknown one.
const MAX_SUGGESTIONS: usize = 3;
/// Length in bytes of the longest name of an object. A longer text resembles none, and comparing it with all names would
/// take long.
const MAX_NAME: usize = 253;

impl Catalog {
    /// Describes a name that [`Catalog::get`] does not find. Suggests similar names, and of these only the
    /// ones for which `fits` holds, if there are any.
    pub(super) fn unknown(&self, name: &str, fits: impl Fn(&Entry) -> bool) -> Unknown {
        // The name of an ignored entry is not a typo, so no other name is suggested.
        if let Some(error) = self.ignored_error(name) {
            return Unknown { name: name.to_owned(), ignored: Some(error.clone()), nearest: Vec::new() };
        }
        if name.len() > MAX_NAME {
            return Unknown { name: name.to_owned(), ignored: None, nearest: Vec::new() };
        }
        let mut similar: Vec<(bool, f64, &str)> = self
            .entries()
            .iter()
            .map(|entry| (fits(entry), strsim::jaro_winkler(name, entry.name()), entry.name()))
            .filter(|(_, similarity, other)| *similarity >= MIN_SIMILARITY || other.starts_with(name))
            .collect();
        let any_fits = similar.iter().any(|(fits, ..)| *fits);
        similar.retain(|(fits, ..)| *fits == any_fits);
        // The sort is stable: of equally similar names the newest stays first.
        similar.sort_by(|a, b| b.1.total_cmp(&a.1));
        Unknown {
            name: name.to_owned(),
            ignored: None,
            nearest: similar.into_iter().take(MAX_SUGGESTIONS).map(|(.., other)| other.to_owned()).collect(),
        }
    }
}
