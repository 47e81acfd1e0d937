//! The compatibility matrix: which version a database may move to from the one it has.
//!
//! The checks, in the order in which a refusal names them: both names are known, the target is of no
//! lower major version, the constraints of the *current* version admit the target, both have the same
//! base system, both are of the same distribution. A target of the same name takes the same way; where
//! it passes, the image is rolled out anew.

mod advice;
mod base_os;
mod known_bad;
mod refusal;

use std::collections::BTreeMap;

pub use base_os::{BaseOsChange, CLibrary};
pub use known_bad::Fault;
pub use refusal::{List, Reason, Refusal, Unknown};

use crate::PgVersion;
use crate::constraint::{Constraint, Version, VersionError};
use crate::plan::{UpgradeKind, VersionRef};
use crate::postgresversion::{Distribution, PostgresVersionSpec, UpdateConstraints};
use crate::version::ParseVersionError;

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
    pub version_ref: VersionRef,
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

/// What a version says of the versions that may follow it.
#[derive(Debug)]
pub struct Constraints {
    /// One of these must match; any version does where there are none.
    pub allow: Box<[Constraint]>,
    /// None of these may match.
    pub deny: Box<[Constraint]>,
}

/// The rules over a catalog, for one request.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    catalog: &'a Catalog,
    base_os: BaseOsChange,
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

    /// As [`Matrix::decide`], for a request that keeps the base system.
    pub fn decide(&self, from: &str, to: &str) -> Result<Allowed<'_>, Refusal> {
        self.with_base_os_change(BaseOsChange::Refused).decide(from, to)
    }

    /// The catalog, as it stands to a request that accepts another base system or not.
    #[must_use]
    pub fn with_base_os_change(&self, base_os: BaseOsChange) -> Matrix<'_> {
        Matrix { catalog: self, base_os }
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

impl<'a> Matrix<'a> {
    /// Whether a database that has `from` may move to `to`; both are names of `PostgresVersion`s.
    pub fn decide(self, from: &str, to: &str) -> Result<Allowed<'a>, Refusal> {
        let catalog = self.catalog;
        let Some(current) = catalog.get(from) else {
            return Err(Refusal::UnknownSource {
                from: from.to_owned(),
                to: to.to_owned(),
                ignored: catalog.ignored.get(from).cloned(),
            });
        };
        let Some(target) = catalog.get(to) else {
            return Err(Refusal::UnknownTarget {
                from: from.to_owned(),
                to: catalog.unknown(to, |entry| self.proposes(current, entry)),
            });
        };
        match current.objection(target, self.base_os) {
            None => Ok(Allowed { from: current, to: target }),
            Some(reason) => Err(Refusal::new(reason, current, target)),
        }
    }
}

impl Entry {
    fn new(name: &str, spec: &PostgresVersionSpec) -> Result<Self, VersionError> {
        Ok(Self {
            version: Version::parse(&spec.version)?,
            version_ref: VersionRef {
                name: name.to_owned(),
                version: spec.version.clone(),
                image: spec.db.image.clone(),
            },
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
        &self.version_ref.name
    }

    /// What is known against a database of this version, if anything.
    #[must_use]
    pub fn lifecycle_warning(&self) -> Option<String> {
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
    fn objection(&self, target: &Self, base_os: BaseOsChange) -> Option<Reason> {
        if target.version.postgres_major() < self.version.postgres_major() {
            return Some(Reason::Downgrade);
        }
        if !self.constraints.as_ref().is_ok_and(|lists| lists.admit(&target.version)) {
            return Some(Reason::Constraints);
        }
        self.platform_objection(target, base_os)
    }

    fn platform_objection(&self, target: &Self, change: BaseOsChange) -> Option<Reason> {
        if self.changed_base_os(target).is_some_and(|(from, to)| !base_os::is_accepted(from, to, change)) {
            return Some(Reason::BaseOs);
        }
        differ(self.distribution, target.distribution).then_some(Reason::Distribution)
    }

    /// Both base systems, where they are known and differ.
    #[must_use]
    pub fn changed_base_os<'a>(&'a self, target: &'a Self) -> Option<(&'a str, &'a str)> {
        self.base_os().zip(target.base_os()).filter(|(from, to)| from != to)
    }

    /// The release of `PostgreSQL` that this is; fails for what no program of pgops knows.
    pub fn release(&self) -> Result<PgVersion, UnsupportedRelease> {
        release(&self.version_ref.version, &self.version)
    }

    /// A known fault of this very release.
    #[must_use]
    pub fn fault(&self) -> Option<&'static Fault> {
        self.release().ok().and_then(Fault::of)
    }

    fn base_os(&self) -> Option<&str> {
        self.base_os.as_deref().filter(|name| !name.is_empty())
    }
}

/// A version that the matrix can compare, and that pgops cannot upgrade from or to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnsupportedRelease {
    /// Before 10, two numbers made a major version.
    #[error("\"{0}\" is older than PostgreSQL 10")]
    Old(String),
    /// A pre-release, or a number of parts that `PostgreSQL` does not have.
    #[error(transparent)]
    Other(#[from] ParseVersionError),
}

fn release(text: &str, version: &Version) -> Result<PgVersion, UnsupportedRelease> {
    if version.major < 10 {
        return Err(UnsupportedRelease::Old(text.to_owned()));
    }
    Ok(text.parse()?)
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

    /// Whether a version may follow.
    #[must_use]
    pub fn admit(&self, version: &Version) -> bool {
        let matches = |constraint: &Constraint| constraint.matches(version);
        (self.allow.is_empty() || self.allow.iter().any(matches)) && !self.deny.iter().any(matches)
    }
}

/// What is wrong with an entry, and what follows from it: what its author should hear.
#[must_use]
pub fn problems(spec: &PostgresVersionSpec) -> Vec<String> {
    let version = match Version::parse(&spec.version) {
        Ok(version) => version,
        Err(error) => {
            return vec![format!(
                "this PostgresVersion is ignored until it is mended: spec.version: {error}"
            )];
        }
    };
    let unsupported = release(&spec.version, &version)
        .err()
        .map(|error| format!("nothing is upgraded from or to this PostgresVersion: spec.version: {error}"));
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
