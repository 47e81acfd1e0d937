//! The compatibility matrix: which version a database may move to from the one it has.
//!
//! The checks, in the order in which a refusal names them: both names are known, the target is of no
//! lower major version, the constraints of the *current* version admit the target, both have the same
//! base system, both are of the same distribution. A target of the same name takes the same way; where
//! it passes, the image is rolled out anew.

mod advice;
mod refusal;

use std::collections::BTreeMap;

pub use refusal::{List, Reason, Refusal, Unknown};

use crate::PgVersion;
use crate::constraint::{Constraint, Version, VersionError};
use crate::plan::{Side, UpgradeKind};
use crate::postgresversion::{Distribution, PostgresVersionSpec, UpdateConstraints};

/// All entries of the catalog, parsed once.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Newest first.
    entries: Vec<Entry>,
    index: BTreeMap<String, usize>,
    ignored: BTreeMap<String, VersionError>,
}

/// One `PostgresVersion` whose version could be read.
#[derive(Debug)]
pub struct Entry {
    /// Name, version as written, and image.
    pub side: Side,
    /// The version.
    pub version: Version,
    /// The family of base systems; none, or an empty text, is not compared.
    pub base_os: Option<String>,
    /// Who builds the server; none is not compared.
    pub distribution: Option<Distribution>,
    /// Admitted with a warning.
    pub deprecated: bool,
    /// Admitted with a warning.
    pub end_of_life: bool,
    constraints: Result<Constraints, refusal::Unreadable>,
}

#[derive(Debug)]
struct Constraints {
    allow: Vec<Constraint>,
    deny: Vec<Constraint>,
}

/// A move that the matrix allows.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// What the database has.
    pub from: &'a Entry,
    /// What it shall have.
    pub to: &'a Entry,
}

impl Allowed<'_> {
    /// Whether data must be converted.
    #[must_use]
    pub fn kind(&self) -> UpgradeKind {
        if self.from.version.postgres_major() == self.to.version.postgres_major() {
            UpgradeKind::Minor
        } else {
            UpgradeKind::Major
        }
    }
}

impl Catalog {
    /// Reads the entries. One whose version cannot be read is set aside, and disturbs no other.
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

    /// Whether a database that has `from` may move to `to`; both are names of `PostgresVersion`s.
    pub fn decide(&self, from: &str, to: &str) -> Result<Allowed<'_>, Refusal> {
        let Some(current) = self.get(from) else {
            return Err(Refusal::UnknownSource {
                from: from.to_owned(),
                to: to.to_owned(),
                ignored: self.ignored.get(from).cloned(),
            });
        };
        let Some(target) = self.get(to) else {
            return Err(Refusal::UnknownTarget {
                from: from.to_owned(),
                to: self.unknown(to, |entry| current.objection(entry).is_none()),
            });
        };
        match current.objection(target) {
            None => Ok(Allowed { from: current, to: target }),
            Some(reason) => Err(Refusal::new(reason, current, target)),
        }
    }

    /// The entry of that name, unless there is none or its version cannot be read.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.index.get(name).map(|at| &self.entries[*at])
    }

    /// All entries, newest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Names of the entries that were set aside, and why.
    pub fn ignored(&self) -> impl Iterator<Item = (&str, &VersionError)> {
        self.ignored.iter().map(|(name, error)| (name.as_str(), error))
    }
}

impl Entry {
    fn new(name: &str, spec: &PostgresVersionSpec) -> Result<Self, VersionError> {
        Ok(Self {
            version: Version::parse(&spec.version)?,
            side: Side { name: name.to_owned(), version: spec.version.clone(), image: spec.db.image.clone() },
            base_os: spec.db.base_os.clone(),
            distribution: spec.distribution,
            deprecated: spec.deprecated,
            end_of_life: spec.end_of_life,
            constraints: Constraints::new(&spec.update_constraints),
        })
    }

    /// Name of the `PostgresVersion`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.side.name
    }

    /// What is known against a database of this version, if anything.
    #[must_use]
    pub fn outdated(&self) -> Option<String> {
        let name = self.name();
        match (self.end_of_life, self.deprecated) {
            (true, _) => {
                Some(format!("{name} is at its end of life: PostgreSQL no longer mends this major version"))
            }
            (false, true) => Some(format!("{name} is deprecated: choose a newer version if you can")),
            (false, false) => None,
        }
    }

    /// What stands against a move to the target. Allocates nothing: it is asked for whole catalogs.
    fn objection(&self, target: &Self) -> Option<Reason> {
        if target.version.postgres_major() < self.version.postgres_major() {
            return Some(Reason::Downgrade);
        }
        if !self.constraints.as_ref().is_ok_and(|lists| lists.admit(&target.version)) {
            return Some(Reason::Constraints);
        }
        self.platform_objection(target)
    }

    fn platform_objection(&self, target: &Self) -> Option<Reason> {
        if differ(self.base_os(), target.base_os()) {
            return Some(Reason::BaseOs);
        }
        differ(self.distribution, target.distribution).then_some(Reason::Distribution)
    }

    fn base_os(&self) -> Option<&str> {
        self.base_os.as_deref().filter(|name| !name.is_empty())
    }
}

/// Both are known, and not the same.
fn differ<T: PartialEq>(left: Option<T>, right: Option<T>) -> bool {
    matches!((left, right), (Some(left), Some(right)) if left != right)
}

impl Constraints {
    fn new(lists: &UpdateConstraints) -> Result<Self, refusal::Unreadable> {
        let parse = |list: List, texts: &[String]| {
            texts
                .iter()
                .map(|text| text.parse().map_err(|error| refusal::Unreadable { list, error }))
                .collect::<Result<_, _>>()
        };
        Ok(Self { allow: parse(List::Allow, &lists.allowlist)?, deny: parse(List::Deny, &lists.denylist)? })
    }

    fn admit(&self, version: &Version) -> bool {
        let matches = |constraint: &Constraint| constraint.matches(version);
        (self.allow.is_empty() || self.allow.iter().any(matches)) && !self.deny.iter().any(matches)
    }
}

/// What is wrong with an entry, and what follows from it: what its author should hear.
#[must_use]
pub fn complaints(spec: &PostgresVersionSpec) -> Vec<String> {
    if let Err(error) = Version::parse(&spec.version) {
        return vec![format!("this PostgresVersion is ignored until it is mended: spec.version: {error}")];
    }
    let unsupported =
        spec.version.parse::<PgVersion>().err().map(|error| {
            format!("nothing is upgraded from or to this PostgresVersion: spec.version: {error}")
        });
    let unreadable =
        Constraints::new(&spec.update_constraints).err().map(|refusal::Unreadable { list, error }| {
            format!(
                "databases of this PostgresVersion cannot be upgraded until it is mended: \
             spec.updateConstraints.{list}: {error}"
            )
        });
    unsupported.into_iter().chain(unreadable).collect()
}

#[cfg(test)]
mod tests;
