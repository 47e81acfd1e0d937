//! Constraint strings of the catalog, with the meaning that Masterminds/semver v3 gives them.
//!
//! The notation looks like Cargo's and npm's and differs from both, so every rule is spelled out:
//!
//! - `||` separates alternatives; inside one, a comma or white space means "and".
//! - Operators are `= != > < >= => <= =< ~ ~> ^`, or none, and white space may follow them.
//! - `x`, `X` and `*` stand for any number. A part that is left out counts as one of these.
//! - With all three parts given, `=` and no operator mean equality. With fewer they mean `~`, so that
//!   `14` is any 14 and `14.1` is any 14.1.
//! - `> 16.8` starts at 16.9 and `> 16` at 17; `<= 16.8` ends with the last 16.8.
//! - `1.2 - 1.4` is `>= 1.2, <= 1.4`.
//! - A version with a pre-release matches only alternatives that name a pre-release themselves.

mod empty;
mod version;

use std::borrow::Cow;
use std::fmt;

use version::{Parts, is_space};
pub use version::{PostgresMajor, Version, VersionError};

/// Longest constraint that is read, in bytes; a catalog is written by people.
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

/// Text that is no constraint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConstraintError {
    /// A piece that does not fit the notation.
    #[error(
        "\"{text}\" is no version constraint, see \"{piece}\": expected comparisons such as \">= 13.4, < 18\""
    )]
    Malformed {
        /// The whole constraint.
        text: String,
        /// From where on it could not be read.
        piece: String,
    },
    /// Longer than anyone would write.
    #[error("a version constraint of {0} bytes is too long: at most {MAX_LENGTH} are read")]
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
    /// The text as it was written.
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

/// Comparisons that must all hold.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Alternative {
    comparisons: Box<[Comparison]>,
    /// One of the comparisons names a pre-release, so versions with one are considered at all.
    considers_pre: bool,
}

impl Alternative {
    /// Fails with the piece that cannot be read.
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

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

impl Operator {
    /// Reads the operator and the white space behind it; none means equality.
    fn take(text: &str) -> (Self, &str) {
        // Those of two characters first, so that none is cut in half.
        const SPELLINGS: [(&str, Operator); 11] = [
            ("!=", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("=>", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("=<", Operator::LessOrEqual),
            ("~>", Operator::Tilde),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("~", Operator::Tilde),
            ("^", Operator::Caret),
        ];
        SPELLINGS
            .iter()
            .find_map(|(spelling, operator)| Some((*operator, text.strip_prefix(spelling)?)))
            .map_or((Self::Equal, text), |(operator, rest)| (operator, rest.trim_start_matches(is_space)))
    }
}

/// How much of a constraint's version was given before the first wildcard or missing part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Given {
    Nothing,
    Major,
    Minor,
    Patch,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Comparison {
    operator: Operator,
    /// Zero in the parts that were not given.
    version: Version,
    given: Given,
}

impl Comparison {
    /// Reads the version behind an operator; also what is left of the text.
    fn take(operator: Operator, text: &str) -> Option<(Self, &str)> {
        let parts = Parts::take(text, is_part)?;
        let is_any = |part: Option<&str>| matches!(part, None | Some("x" | "X" | "*"));
        let (given, parts) = if is_any(Some(parts.major)) {
            (Given::Nothing, Parts { major: "0", minor: None, patch: None, ..parts })
        } else if is_any(parts.minor) {
            (Given::Major, Parts { minor: None, patch: None, ..parts })
        } else if is_any(parts.patch) {
            (Given::Minor, Parts { patch: None, ..parts })
        } else {
            (Given::Patch, parts)
        };
        Some((Self { operator, version: Version::from_parts(&parts)?, given }, parts.rest))
    }

    fn matches(&self, version: &Version) -> bool {
        let bound = &self.version;
        let whole = matches!(self.given, Given::Nothing | Given::Patch);
        match self.operator {
            Operator::Equal if self.given == Given::Patch => version == bound,
            Operator::Equal | Operator::Tilde => self.matches_tilde(version),
            Operator::NotEqual => match self.given {
                Given::Major => version.major != bound.major,
                Given::Minor => version.pair() != bound.pair() || version.pre() != bound.pre(),
                Given::Nothing | Given::Patch => version != bound,
            },
            Operator::Greater if whole => version > bound,
            Operator::Greater if self.given == Given::Major => version.major > bound.major,
            Operator::Greater => version.pair() > bound.pair(),
            Operator::GreaterOrEqual => version >= bound,
            Operator::Less => version < bound,
            Operator::LessOrEqual => match self.given {
                Given::Patch => version <= bound,
                Given::Major => version.major <= bound.major,
                Given::Minor | Given::Nothing => version.pair() <= bound.pair(),
            },
            Operator::Caret => self.matches_caret(version),
        }
    }

    /// `~1.2.3` and `~1.2` stay within 1.2, `~1` within 1; `~*` and `~0.0.0` admit everything.
    fn matches_tilde(&self, version: &Version) -> bool {
        let bound = &self.version;
        version >= bound
            && match self.given {
                Given::Nothing => true,
                Given::Patch if bound.is_zero() => true,
                Given::Major => version.major == bound.major,
                Given::Minor | Given::Patch => version.pair() == bound.pair(),
            }
    }

    /// The first part that is not zero stays as it is: `^1.2` within 1, `^0.2` within 0.2.
    fn matches_caret(&self, version: &Version) -> bool {
        let bound = &self.version;
        if version < bound || version.major != bound.major {
            return false;
        }
        if bound.major > 0 || self.given == Given::Major {
            return true;
        }
        let within_minor = bound.minor > 0 || self.given == Given::Minor;
        version.minor == bound.minor && (within_minor || version.patch == bound.patch)
    }
}

/// Characters of a part: the reference implementation counts `|` among them.
///
/// No part with a `|` is a number, so this only matters where a hyphen range touches `||` without
/// white space: `3||1 - 2` means `>= 3 || 1, <= 2` there, and so it does here.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'|' | b'x' | b'X' | b'*')
}

/// Replaces each hyphen range by two comparisons, before anything else is read.
fn rewrite_ranges(text: &str) -> Cow<'_, str> {
    let mut rewritten = String::new();
    let mut rest = text;
    while let Some((before, range)) = find_range(rest) {
        rewritten.extend([before, ">= ", range.low, ", <= ", range.high, " "]);
        rest = range.rest;
    }
    if rest.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(rewritten + rest) }
}

struct Range<'a> {
    low: &'a str,
    high: &'a str,
    rest: &'a str,
}

/// The first hyphen range and the text before it; white space around the range belongs to it.
fn find_range(text: &str) -> Option<(&str, Range<'_>)> {
    text.char_indices().find_map(|(at, _)| Some((&text[..at], take_range(&text[at..])?)))
}

fn take_range(text: &str) -> Option<Range<'_>> {
    let space = |text: &str| {
        let rest = text.trim_start_matches(is_space).len();
        text.len() - rest
    };
    let low = Parts::take(&text[space(text)..], is_part)?;
    let dash = low.rest.trim_start_matches(is_space);
    let after = dash.strip_prefix('-').filter(|_| space(low.rest) > 0)?;
    let high = Parts::take(&after[space(after)..], is_part).filter(|_| space(after) > 0)?;
    Some(Range { low: low.text, high: high.text, rest: high.rest.trim_start_matches(is_space) })
}

#[cfg(test)]
mod tests;
