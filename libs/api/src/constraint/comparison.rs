//! One comparison of a constraint, such as `>= 16.8`.

use super::version::{Parts, Version, is_part, is_space};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
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
    /// Reads the operator and the white space after it; none means equality.
    pub(super) fn take(text: &str) -> (Self, &str) {
        // Those of two characters first, since others are their prefixes.
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

/// How much of the version was given before the first wildcard or missing part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Given {
    Nothing,
    Major,
    Minor,
    Patch,
}

/// An operator and its bound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Comparison {
    operator: Operator,
    /// The bound; zero in the parts that were not given.
    pub(super) version: Version,
    given: Given,
}

impl Comparison {
    /// Reads the version after an operator; also returns the rest of the text.
    pub(super) fn take(operator: Operator, text: &str) -> Option<(Self, &str)> {
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

    pub(super) fn matches(&self, version: &Version) -> bool {
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

    /// The first part that is not zero is fixed: `^1.2` within 1, `^0.2` within 0.2.
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
