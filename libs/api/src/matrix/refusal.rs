//! Why an upgrade is refused: a reason for machines, a message for users.

use std::fmt;

use super::base_os;
use super::constraints::{InvalidConstraint, List};
use super::entry::Entry;
use crate::constraint::{ConstraintError, PostgresMajor, VersionError};
use crate::postgresversion::Distribution;

/// The violated rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The target's major version is lower.
    Downgrade,
    /// The current version's constraints do not admit the target, or are invalid.
    Constraints,
    /// The base systems differ.
    BaseOs,
    /// The distributions differ.
    Distribution,
    /// The target is not in the catalog.
    UnknownTarget,
    /// The database's current version is not in the catalog.
    UnknownSource,
}

impl Reason {
    /// The reason as a word for machines.
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

/// A name that is not in the catalog, or whose entry is ignored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unknown {
    /// The name as requested.
    pub name: String,
    /// Why the entry of that name is ignored, if it exists.
    pub ignored: Option<VersionError>,
    /// Similar names, the most similar first.
    pub nearest: Vec<String>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ignored, nearest } = self;
        match (ignored, nearest.as_slice()) {
            (Some(error), _) => {
                write!(f, "PostgresVersion \"{name}\" is ignored: {error}; correct its spec.version")
            }
            (None, []) => write!(f, "there is no PostgresVersion \"{name}\""),
            (None, nearest) => {
                write!(f, "there is no PostgresVersion \"{name}\"; did you mean {}?", nearest.join(" or "))
            }
        }
    }
}

/// A refused upgrade. Its `Display` is the message without the possible targets, see
/// [`Matrix::explain`](super::Matrix::explain).
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "`from` and `to` are names of PostgresVersions throughout")]
pub enum Refusal {
    /// The database's current version is not in the catalog, or its entry is ignored.
    UnknownSource { from: String, to: String, ignored: Option<VersionError> },
    /// The target is not in the catalog, or its entry is ignored.
    UnknownTarget { from: String, to: Unknown },
    /// The target's major version is lower.
    Downgrade { from: String, to: String, majors: (PostgresMajor, PostgresMajor) },
    /// No item of the allowlist matches the target.
    NotAllowed { from: String, to: String, allow: Vec<String> },
    /// An item of the denylist matches the target.
    Denied { from: String, to: String, deny: String },
    /// An item of either list is not a constraint, so no target is known to be intended.
    InvalidConstraint { from: String, to: String, list: List, error: ConstraintError },
    /// The base systems differ.
    BaseOs { from: String, to: String, systems: (String, String) },
    /// The distributions differ.
    Distribution { from: String, to: String, distributions: (Distribution, Distribution) },
}

impl Refusal {
    /// Collects the details of the message; `reason` is the rule that the pair violates.
    pub(super) fn new(reason: Reason, current: &Entry, target: &Entry) -> Self {
        let from = current.name().to_owned();
        let to = target.name().to_owned();
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
            Err(InvalidConstraint { list, error }) => {
                Self::InvalidConstraint { from, to, list: *list, error: error.clone() }
            }
            Ok(lists) => {
                let allowed = lists.allows(&target.version);
                match lists.denied_by(&target.version).filter(|_| allowed) {
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

    /// The violated rule.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::UnknownSource { .. } => Reason::UnknownSource,
            Self::UnknownTarget { .. } => Reason::UnknownTarget,
            Self::Downgrade { .. } => Reason::Downgrade,
            Self::NotAllowed { .. } | Self::Denied { .. } | Self::InvalidConstraint { .. } => {
                Reason::Constraints
            }
            Self::BaseOs { .. } => Reason::BaseOs,
            Self::Distribution { .. } => Reason::Distribution,
        }
    }

    /// The names of the current and the requested version.
    #[must_use]
    pub fn names(&self) -> (&str, &str) {
        match self {
            Self::UnknownTarget { from, to } => (from, &to.name),
            Self::UnknownSource { from, to, .. }
            | Self::Downgrade { from, to, .. }
            | Self::NotAllowed { from, to, .. }
            | Self::Denied { from, to, .. }
            | Self::InvalidConstraint { from, to, .. }
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
                "the database's PostgresVersion \"{from}\" is not in the catalog, so its constraints are unknown; \
                 create that PostgresVersion, then try again"
            ),
            Self::UnknownSource { ignored: Some(error), .. } => {
                write!(
                    f,
                    "the database's PostgresVersion \"{from}\" is ignored: {error}; correct its spec.version"
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
            Self::InvalidConstraint { list, error, .. } => write!(
                f,
                "the {list} of PostgresVersion \"{from}\" is invalid: {error}; correct its \
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

/// `"a" or "b"`; a list may be long, and its first items show its intent.
fn quoted(constraints: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<_> = constraints.iter().take(SHOWN).map(|text| format!("\"{text}\"")).collect();
    match constraints.len().saturating_sub(SHOWN) {
        0 => shown.join(" or "),
        more => format!("{} or {more} more", shown.join(", ")),
    }
}
