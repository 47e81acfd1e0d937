//! The update constraints of one catalog entry, parsed.

use std::fmt;

use crate::constraint::{Constraint, ConstraintError, Version};
use crate::postgresversion::UpdateConstraints;

/// The versions that an entry admits as targets.
#[derive(Debug)]
pub struct Constraints {
    /// A target must match one of these; an empty list admits every version.
    pub allow: Box<[Constraint]>,
    /// A target must match none of these.
    pub deny: Box<[Constraint]>,
}

/// One of the two lists of constraints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum List {
    /// `spec.updateConstraints.allowlist`.
    Allow,
    /// `spec.updateConstraints.denylist`.
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

/// A list with an item that is not a constraint. Its intended meaning can only be guessed, so no target is
/// admitted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct InvalidConstraint {
    pub list: List,
    pub error: ConstraintError,
}

impl Constraints {
    pub(super) fn new(lists: &UpdateConstraints) -> Result<Self, InvalidConstraint> {
        let parse = |list: List, texts: &[String]| {
            texts
                .iter()
                .map(|text| text.parse().map_err(|error| InvalidConstraint { list, error }))
                .collect::<Result<_, _>>()
        };
        Ok(Self { allow: parse(List::Allow, &lists.allowlist)?, deny: parse(List::Deny, &lists.denylist)? })
    }

    /// Whether the target is admitted.
    #[must_use]
    pub fn admit(&self, version: &Version) -> bool {
        self.allows(version) && self.denied_by(version).is_none()
    }

    /// Whether the allowlist admits the target.
    pub(super) fn allows(&self, version: &Version) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|constraint| constraint.matches(version))
    }

    /// The item of the denylist that excludes the target.
    pub(super) fn denied_by(&self, version: &Version) -> Option<&Constraint> {
        self.deny.iter().find(|constraint| constraint.matches(version))
    }
}
