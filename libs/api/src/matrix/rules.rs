//! The rules of the matrix.

use super::base_os::{self, BaseOsChange};
use super::catalog::Catalog;
use super::entry::Entry;
use super::refusal::{Reason, Refusal};
use crate::plan::UpgradeKind;

/// The rules over a catalog, for one request.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(super) catalog: &'a Catalog,
    base_os: BaseOsChange,
}

/// A change of version that the matrix allows.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// The current version of the database.
    pub from: &'a Entry,
    /// The requested version.
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
    /// Like [`Matrix::decide`], for a request that keeps the base system.
    pub fn decide(&self, from: &str, to: &str) -> Result<Allowed<'_>, Refusal> {
        self.with_base_os_change(BaseOsChange::Refused).decide(from, to)
    }

    /// The matrix for a request that accepts a change of the base system, or does not.
    #[must_use]
    pub fn with_base_os_change(&self, base_os: BaseOsChange) -> Matrix<'_> {
        Matrix { catalog: self, base_os }
    }
}

impl<'a> Matrix<'a> {
    /// Whether a database with version `from` may be upgraded to `to`; both are names of `PostgresVersion`s.
    pub fn decide(self, from: &str, to: &str) -> Result<Allowed<'a>, Refusal> {
        let catalog = self.catalog;
        let Some(current) = catalog.get(from) else {
            return Err(Refusal::UnknownSource {
                from: from.to_owned(),
                to: to.to_owned(),
                ignored: catalog.ignored_error(from).cloned(),
            });
        };
        let Some(target) = catalog.get(to) else {
            return Err(Refusal::UnknownTarget {
                from: from.to_owned(),
                to: catalog.unknown(to, |entry| self.suggests(current, entry)),
            });
        };
        match self.objection(current, target) {
            None => Ok(Allowed { from: current, to: target }),
            Some(reason) => Err(Refusal::new(reason, current, target)),
        }
    }

    /// Names of the versions that a database with `from` may be upgraded to, newest first, without `from`.
    #[must_use]
    pub fn allowed_targets(self, from: &str) -> Vec<&'a str> {
        let current = self.catalog.get(from);
        current.map(|current| self.targets(current).map(Entry::name).collect()).unwrap_or_default()
    }

    pub(super) fn targets(self, current: &'a Entry) -> impl Iterator<Item = &'a Entry> {
        self.catalog.entries().iter().filter(move |target| {
            target.name() != current.name() && self.objection(current, target).is_none()
        })
    }

    /// Whether a message may suggest this target: the matrix allows it, and pgops supports its release.
    pub(super) fn suggests(self, current: &Entry, target: &Entry) -> bool {
        self.objection(current, target).is_none() && target.release().is_ok()
    }

    /// The first rule that the target violates. Allocates nothing, since it runs over whole catalogs.
    fn objection(self, current: &Entry, target: &Entry) -> Option<Reason> {
        if target.version.postgres_major() < current.version.postgres_major() {
            return Some(Reason::Downgrade);
        }
        if !current.constraints.as_ref().is_ok_and(|constraints| constraints.admit(&target.version)) {
            return Some(Reason::Constraints);
        }
        self.platform_objection(current, target)
    }

    /// The rules on base system and distribution.
    pub(super) fn platform_objection(self, current: &Entry, target: &Entry) -> Option<Reason> {
        let change = current.changed_base_os(target);
        if change.is_some_and(|(from, to)| !base_os::is_accepted(from, to, self.base_os)) {
            return Some(Reason::BaseOs);
        }
        differ(current.distribution, target.distribution).then_some(Reason::Distribution)
    }
}

/// Whether both are known, and not equal.
fn differ<T: PartialEq>(left: Option<T>, right: Option<T>) -> bool {
    matches!((left, right), (Some(left), Some(right)) if left != right)
}
