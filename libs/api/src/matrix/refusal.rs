//! Why a move is refused: for machines a reason, for people the sentence.

use std::fmt;

use super::{Entry, base_os};
use crate::constraint::{Constraint, ConstraintError, PostgresMajor, VersionError};
use crate::postgresversion::Distribution;

/// The kinds of refusal, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The target is of a lower major version.
    Downgrade,
    /// The current version's constraints do not admit the target, or cannot be read.
    Constraints,
    /// Another base system.
    BaseOs,
    /// Another distribution.
    Distribution,
    /// The catalog has no target of that name.
    UnknownTarget,
    /// The catalog does not have the database's own version.
    UnknownSource,
}

impl Reason {
    /// The word that machines see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downgrade => "Downgrade",
            Self::Constraints => "Constraints",
            Self::BaseOs => "BaseOS",
            Self::Distribution => "Distribution",
            Self::UnknownTarget => "UnknownTarget",
            Self::UnknownSource => "UnknownSource",
        }
    }
}

/// One of the two lists of constraints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum List {
    /// One of these must match.
    Allow,
    /// None of these may match.
    Deny,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allowlist",
            Self::Deny => "denylist",
        })
    }
}

/// An entry of a list that is no constraint: what it meant to admit or forbid can only be guessed, so
/// nothing is admitted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Unreadable {
    pub list: List,
    pub error: ConstraintError,
}

/// A name that the catalog does not have, or had to set aside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unknown {
    /// The name.
    pub name: String,
    /// Why the entry of that name was set aside.
    pub ignored: Option<VersionError>,
    /// Names like it, the most alike first.
    pub nearest: Vec<String>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ignored, nearest } = self;
        match (ignored, nearest.as_slice()) {
            (Some(error), _) => {
                write!(f, "PostgresVersion \"{name}\" is ignored: {error}; mend its spec.version")
            }
            (None, []) => write!(f, "there is no PostgresVersion \"{name}\""),
            (None, nearest) => {
                write!(f, "there is no PostgresVersion \"{name}\"; did you mean {}?", nearest.join(" or "))
            }
        }
    }
}

/// A move that is refused. Its `Display` is the sentence without the advice, see
/// [`Matrix::explain`](super::Matrix::explain).
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "`from` and `to` are names of PostgresVersions throughout")]
pub enum Refusal {
    /// The database's own version is not in the catalog, or set aside because it cannot be read.
    UnknownSource { from: String, to: String, ignored: Option<VersionError> },
    /// The target is not in the catalog, or set aside because it cannot be read.
    UnknownTarget { from: String, to: Unknown },
    /// A lower major version.
    Downgrade { from: String, to: String, majors: (PostgresMajor, PostgresMajor) },
    /// No entry of the allowlist matches the target.
    NotAllowed { from: String, to: String, allow: Vec<String> },
    /// An entry of the denylist matches the target.
    Denied { from: String, to: String, deny: String },
    /// An entry of either list cannot be read, so that no target is known to be right.
    Unreadable { from: String, to: String, list: List, error: ConstraintError },
    /// Another base system.
    BaseOs { from: String, to: String, systems: (String, String) },
    /// Another distribution.
    Distribution { from: String, to: String, distributions: (Distribution, Distribution) },
}

impl Refusal {
    /// Gathers what the sentence needs; `reason` is what [`Entry::objection`] said of the two.
    pub(super) fn new(reason: Reason, current: &Entry, target: &Entry) -> Self {
        let (from, to) = (current.name().to_owned(), target.name().to_owned());
        match (reason, current.distribution.zip(target.distribution)) {
            (Reason::Downgrade, _) => {
                let majors = (current.version.postgres_major(), target.version.postgres_major());
                Self::Downgrade { from, to, majors }
            }
            (Reason::Distribution, Some(distributions)) => Self::Distribution { from, to, distributions },
            (Reason::BaseOs, _) => {
                let system = |entry: &Entry| entry.base_os().unwrap_or_default().to_owned();
                Self::BaseOs { from, to, systems: (system(current), system(target)) }
            }
            _ => Self::constraints(from, to, current, target),
        }
    }

    fn constraints(from: String, to: String, current: &Entry, target: &Entry) -> Self {
        match &current.constraints {
            Err(Unreadable { list, error }) => {
                Self::Unreadable { from, to, list: *list, error: error.clone() }
            }
            Ok(lists) => {
                let matching = |deny: &&Constraint| deny.matches(&target.version);
                let allowed = lists.allow.is_empty()
                    || lists.allow.iter().any(|constraint| constraint.matches(&target.version));
                match lists.deny.iter().find(matching).filter(|_| allowed) {
                    Some(deny) => Self::Denied { from, to, deny: deny.to_string() },
                    None => Self::NotAllowed {
                        from,
                        to,
                        allow: lists.allow.iter().map(ToString::to_string).collect(),
                    },
                }
            }
        }
    }

    /// The kind of refusal.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::UnknownSource { .. } => Reason::UnknownSource,
            Self::UnknownTarget { .. } => Reason::UnknownTarget,
            Self::Downgrade { .. } => Reason::Downgrade,
            Self::NotAllowed { .. } | Self::Denied { .. } | Self::Unreadable { .. } => Reason::Constraints,
            Self::BaseOs { .. } => Reason::BaseOs,
            Self::Distribution { .. } => Reason::Distribution,
        }
    }

    /// The names of what the database has and of what was asked for.
    #[must_use]
    pub fn names(&self) -> (&str, &str) {
        match self {
            Self::UnknownTarget { from, to } => (from, &to.name),
            Self::UnknownSource { from, to, .. }
            | Self::Downgrade { from, to, .. }
            | Self::NotAllowed { from, to, .. }
            | Self::Denied { from, to, .. }
            | Self::Unreadable { from, to, .. }
            | Self::BaseOs { from, to, .. }
            | Self::Distribution { from, to, .. } => (from, to),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = self.names();
        if !matches!(self, Self::BaseOs { .. } | Self::Distribution { .. }) {
            write!(f, "upgrade from version {from} to {to} is not supported: ")?;
        }
        match self {
            Self::UnknownSource { ignored: None, .. } => write!(
                f,
                "the database has PostgresVersion \"{from}\", which is not in the catalog, so its constraints \
                 are unknown; create that PostgresVersion, then try again"
            ),
            Self::UnknownSource { ignored: Some(error), .. } => {
                write!(
                    f,
                    "PostgresVersion \"{from}\", which the database has, is ignored: {error}; mend its spec.version"
                )
            }
            Self::UnknownTarget { to, .. } => to.fmt(f),
            Self::Downgrade { majors: (current, target), .. } => write!(
                f,
                "PostgreSQL cannot go back to an older major version ({current} → {target}); restore a backup \
                 taken on {target}, or stay"
            ),
            Self::NotAllowed { allow, .. } => {
                write!(f, "the constraints of {from} allow {}", quoted(allow))
            }
            Self::Denied { deny, .. } => write!(f, "the constraints of {from} exclude \"{deny}\""),
            Self::Unreadable { list, error, .. } => write!(
                f,
                "the {list} of PostgresVersion \"{from}\" cannot be read: {error}; mend its \
                 spec.updateConstraints.{list}"
            ),
            Self::BaseOs { systems: (current, target), .. } => write!(
                f,
                "upgrading between different base OS variants is not allowed: current version \"{from}\" uses \
                 baseOS \"{current}\" but target version \"{to}\" uses baseOS \"{target}\": {}",
                base_os::advice(current, target)
            ),
            Self::Distribution { distributions: (current, target), .. } => write!(
                f,
                "upgrading between different distributions is not allowed: current version \"{from}\" uses \
                 distribution \"{current}\" but target version \"{to}\" uses distribution \"{target}\": choose a target \
                 of the same distribution, or dump and restore into a new database"
            ),
        }
    }
}

/// `"a" or "b"`; a catalog's list may be long, and a few entries show its drift.
fn quoted(constraints: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<_> = constraints.iter().take(SHOWN).map(|text| format!("\"{text}\"")).collect();
    match constraints.len().saturating_sub(SHOWN) {
        0 => shown.join(" or "),
        more => format!("{} or {more} more", shown.join(", ")),
    }
}
