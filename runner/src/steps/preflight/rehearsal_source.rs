//! What the rehearsal is made from.

use std::collections::BTreeSet;

use super::language_modules::ReadModules;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::collation::rules::RulesBefore;
use crate::postgres::program::offer::Offer;

/// The serving database, as far as the rehearsal must know it.
pub struct RehearsalSource<'a> {
    /// Address of the serving database.
    pub ip: &'a str,
    pub inventory: &'a Inventory,
    /// The rules of text and time of the serving database, if they are known.
    pub rules: Option<&'a RulesBefore>,
    /// The modules that functions of each database import.
    pub modules: &'a [ReadModules],
    /// Whether the dump must leave out the column option that the target does not know.
    pub drop_column_option: bool,
    /// The extensions of the target image.
    pub offer: &'a Offer,
    /// Libraries that the target lacks: they have findings of their own.
    pub missing_libraries: &'a BTreeSet<String>,
}

impl RehearsalSource<'_> {
    /// Whether a message names a library that the target lacks, which has a finding of its own.
    pub fn lacks_library_of(&self, message: &str) -> bool {
        self.missing_libraries.iter().any(|library| names_library(message, library))
    }
}

/// From 18 on a server names a library without the `$libdir/` of its definition.
fn names_library(message: &str, library: &str) -> bool {
    let short = library.strip_prefix("$libdir/").unwrap_or(library);
    [library, short].iter().any(|name| message.contains(&format!("\"{name}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::before_18("could not access file \"$libdir/adminpack\": No such file or directory", true)]
    #[case::since_18("could not access file \"adminpack\": No such file or directory", true)]
    #[case::another("could not access file \"$libdir/adminpack2\": No such file or directory", false)]
    fn message_names_a_library_as_its_version_does(#[case] message: &str, #[case] named: bool) {
        assert_eq!(names_library(message, "$libdir/adminpack"), named);
    }
}
