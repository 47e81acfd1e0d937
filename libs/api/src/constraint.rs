//! Constraint strings of the catalog, with the semantics of Masterminds/semver v3.
//!
//! The notation resembles Cargo's and npm's and differs from both, so every rule is spelled out:
//!
//! - `||` separates alternatives; inside one, a comma or white space means "and".
//! - Operators are `= != > < >= => <= =< ~ ~> ^`, or none, and white space may follow them.
//! - `x`, `X` and `*` stand for any number. A missing part counts as one of these.
//! - With all three parts given, `=` and no operator mean equality. With fewer they mean `~`, so that
//!   `14` is any 14 and `14.1` is any 14.1.
//! - `> 16.8` starts at 16.9 and `> 16` at 17; `<= 16.8` ends with the last 16.8.
//! - `1.2 - 1.4` is `>= 1.2, <= 1.4`.
//! - A version with a pre-release matches only alternatives that name a pre-release themselves.

mod comparison;
mod empty;
mod hyphen_range;
mod version;

use std::fmt;

use comparison::{Comparison, Operator};
use hyphen_range::rewrite_ranges;
use version::is_space;
pub use version::{PostgresMajor, Version, VersionError};

/// Longest constraint that is accepted, in bytes; catalogs are written by hand.
const MAX_LENGTH: usize = 1024;

/// A constraint, parsed once.
///
/// ```
/// use pgops_api::constraint::{Constraint, Version};
/// let constraint: Constraint = ">= 13.4, < 18 || 18.1".parse().unwrap();
/// assert!(constraint.matches(&Version::parse("17.11").unwrap()));
/// assert!(!constraint.matches(&Version::parse("18.6").unwrap()));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Constraint {
    text: String,
    alternatives: Box<[Alternative]>,
}

/// Text that is not a constraint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConstraintError {
    /// A piece that does not fit the notation.
    #[error(
        "\"{text}\" is not a version constraint, see \"{piece}\": expected comparisons such as \">= 13.4, < 18\""
    )]
    Malformed {
        /// The whole constraint.
        text: String,
        /// The rest of the text from the first error on.
        piece: String,
    },
    /// Longer than any plausible constraint.
    #[error("a version constraint of {0} bytes is too long: at most {MAX_LENGTH} are accepted")]
    TooLong(usize),
}

impl std::str::FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_LENGTH {
            return Err(ConstraintError::TooLong(text.len()));
        }
        let alternatives = rewrite_ranges(text)
            .split("||")
            .map(Alternative::parse)
            .collect::<Result<_, _>>()
            .map_err(|piece| ConstraintError::Malformed { text: text.to_owned(), piece })?;
        Ok(Self { text: text.to_owned(), alternatives })
    }
}

impl fmt::Display for Constraint {
    /// The original text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Constraint {
    /// Whether one of the alternatives admits the version.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(version))
    }
}

/// Comparisons that must all match.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Alternative {
    comparisons: Box<[Comparison]>,
    /// Whether a comparison names a pre-release: otherwise no pre-release matches.
    considers_pre: bool,
}

impl Alternative {
    /// Fails with the piece that cannot be parsed.
    fn parse(text: &str) -> Result<Self, String> {
        let mut comparisons = Vec::new();
        let mut rest = text;
        loop {
            let piece = rest.trim_start_matches(is_space);
            let (operator, after) = Operator::take(piece);
            let (comparison, tail) =
                Comparison::take(operator, after).ok_or_else(|| piece.trim_end().to_owned())?;
            comparisons.push(comparison);
            let next = tail.trim_start_matches(is_space);
            rest = match next.strip_prefix(',') {
                Some(after_comma) => after_comma,
                None if next.is_empty() => break,
                None if next.len() < tail.len() => next,
                None => return Err(tail.trim_end().to_owned()),
            };
        }
        let considers_pre = comparisons.iter().any(|comparison| comparison.version.has_pre());
        Ok(Self { comparisons: comparisons.into(), considers_pre })
    }

    fn matches(&self, version: &Version) -> bool {
        (self.considers_pre || !version.has_pre())
            && self.comparisons.iter().all(|comparison| comparison.matches(version))
    }
}

#[cfg(test)]
mod tests;
