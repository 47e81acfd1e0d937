//! Versions in the catalog's notation: `16.10`, `13`, `v13.4.1-alpine+meta`.

use std::cmp::Ordering;

/// A version of one to three numbers, parsed once; build metadata after `+` is dropped.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Version {
    /// 16 in 16.10.
    pub major: u64,
    /// 10 in 16.10; zero if it is missing.
    pub minor: u64,
    /// Zero if it is missing, as in every version of `PostgreSQL` since 10.
    pub patch: u64,
    pre: Box<str>,
}

/// Text that is not a version.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is not a version: expected numbers such as \"16.10\"")]
pub struct VersionError(String);

impl Version {
    /// Parses one to three numbers, with an optional `v` before and `-PRERELEASE` and `+METADATA` after them.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        Parts::take(text, |byte| byte.is_ascii_digit())
            .filter(|parts| parts.rest.is_empty())
            .and_then(|parts| Self::from_parts(&parts))
            .ok_or_else(|| VersionError(text.to_owned()))
    }

    /// None if a part is not a number, or an identifier of the pre-release has a leading zero.
    pub(super) fn from_parts(parts: &Parts<'_>) -> Option<Self> {
        let number = |part: Option<&str>| part.unwrap_or("0").parse().ok();
        let pre = parts.pre.unwrap_or_default();
        let leading_zero = |identifier: &str| {
            identifier.len() > 1
                && identifier.starts_with('0')
                && identifier.bytes().all(|byte| byte.is_ascii_digit())
        };
        (!pre.split('.').any(leading_zero)).then_some(Self {
            major: number(Some(parts.major))?,
            minor: number(parts.minor)?,
            patch: number(parts.patch)?,
            pre: pre.into(),
        })
    }

    pub(super) fn release(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch, pre: Box::default() }
    }

    /// The pre-release identifiers after `-`; empty for a release.
    #[must_use]
    pub fn pre(&self) -> &str {
        &self.pre
    }

    pub(super) fn has_pre(&self) -> bool {
        !self.pre.is_empty()
    }

    pub(super) fn pair(&self) -> (u64, u64) {
        (self.major, self.minor)
    }

    pub(super) fn is_zero(&self) -> bool {
        (self.major, self.minor, self.patch) == (0, 0, 0)
    }

    /// The major version as `PostgreSQL` counts it: one number since 10, two before.
    #[must_use]
    pub fn postgres_major(&self) -> PostgresMajor {
        PostgresMajor(self.major, if self.major < 10 { self.minor } else { 0 })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            // A pre-release comes before its release.
            .then_with(|| self.pre.is_empty().cmp(&other.pre.is_empty()))
            .then_with(|| compare_pre(&self.pre, &other.pre))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares identifier by identifier: numbers before words, numbers by value, fewer identifiers first.
fn compare_pre(left: &str, right: &str) -> Ordering {
    let identifiers = |pre: &str| -> Vec<(bool, u64, String)> {
        pre.split('.')
            .map(|identifier| match identifier.parse() {
                Ok(number) => (false, number, String::new()),
                Err(_) => (true, 0, identifier.to_owned()),
            })
            .collect()
    };
    identifiers(left).cmp(&identifiers(right))
}

/// A major version of `PostgreSQL`: `17`, or `9.6`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PostgresMajor(u64, u64);

impl std::fmt::Display for PostgresMajor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self(old @ 0..10, minor) => write!(f, "{old}.{minor}"),
            Self(major, _) => write!(f, "{major}"),
        }
    }
}

impl PostgresMajor {
    /// The major versions between two, oldest first, from 10 on; older ones cannot be enumerated without a
    /// list.
    pub fn between(low: Self, high: Self) -> impl Iterator<Item = u64> {
        (low.0 + 1).max(10)..high.0
    }
}

/// The parts of a version as text, and the text after it.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    /// All parts together, as written.
    pub text: &'a str,
    pub major: &'a str,
    pub minor: Option<&'a str>,
    pub patch: Option<&'a str>,
    pub pre: Option<&'a str>,
    pub rest: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes as many parts as there are; `is_part` accepts the characters of a number.
    pub fn take(text: &'a str, is_part: fn(u8) -> bool) -> Option<Self> {
        let (major, rest) = take_run(text.strip_prefix('v').unwrap_or(text), is_part)?;
        let dotted = |rest: &'a str| match rest.strip_prefix('.').and_then(|rest| take_run(rest, is_part)) {
            Some((part, rest)) => (Some(part), rest),
            None => (None, rest),
        };
        let (minor, rest) = dotted(rest);
        let (patch, rest) = if minor.is_some() { dotted(rest) } else { (None, rest) };
        let (pre, rest) = take_identifiers(rest, '-');
        let (_, rest) = take_identifiers(rest, '+');
        Some(Self { text: &text[..text.len() - rest.len()], major, minor, patch, pre, rest })
    }
}

/// The longest non-empty prefix of accepted characters, and the text after it.
fn take_run(text: &str, accept: fn(u8) -> bool) -> Option<(&str, &str)> {
    let length = text.bytes().take_while(|byte| accept(*byte)).count();
    (length > 0).then(|| text.split_at(length))
}

/// Identifiers separated by dots after a mark, and the text after them.
fn take_identifiers(text: &str, mark: char) -> (Option<&str>, &str) {
    let word = |text| take_run(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let Some((_, mut rest)) = text.strip_prefix(mark).and_then(word) else { return (None, text) };
    while let Some((_, after)) = rest.strip_prefix('.').and_then(word) {
        rest = after;
    }
    (Some(&text[1..text.len() - rest.len()]), rest)
}

/// The white space of a constraint: ASCII white space without the vertical tab.
pub(super) fn is_space(character: char) -> bool {
    character.is_ascii_whitespace()
}

/// Characters of a part in a constraint: the reference implementation counts `|` among them.
///
/// No part with a `|` is a number, so this only matters where a hyphen range touches `||` without
/// white space: `3||1 - 2` means `>= 3 || 1, <= 2` there, and so it does here.
pub(super) fn is_part(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'|' | b'x' | b'X' | b'*')
}
