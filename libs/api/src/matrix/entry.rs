//! One entry of the catalog, parsed.

use super::constraints::{Constraints, InvalidConstraint};
use super::faults::Fault;
use super::release::{UnsupportedRelease, release};
use crate::PgVersion;
use crate::constraint::{Version, VersionError};
use crate::plan::VersionRef;
use crate::postgresversion::{Distribution, ExtensionSpec, PostgresVersionSpec};

/// One `PostgresVersion` whose version could be parsed.
#[derive(Debug)]
pub struct Entry {
    /// Name, version as written, and image.
    pub version_ref: VersionRef,
    /// The version, parsed.
    pub version: Version,
    /// Family of the base system; an absent or empty one is not compared.
    pub base_os: Option<String>,
    /// The distribution; an absent one is not compared.
    pub distribution: Option<Distribution>,
    /// The user id that a new database of this version runs as.
    pub run_as_user: i64,
    /// Admitted as a target, with a warning.
    pub deprecated: bool,
    /// Admitted as a target, with a warning.
    pub end_of_life: bool,
    /// What it says of extensions, as written.
    pub extensions: Vec<ExtensionSpec>,
    pub(super) constraints: Result<Constraints, InvalidConstraint>,
}

impl Entry {
    pub(super) fn new(name: &str, spec: &PostgresVersionSpec) -> Result<Self, VersionError> {
        Ok(Self {
            version: Version::parse(&spec.version)?,
            version_ref: VersionRef {
                name: name.to_owned(),
                version: spec.version.clone(),
                image: spec.db.image.clone(),
            },
            base_os: spec.db.base_os.clone(),
            distribution: spec.distribution,
            run_as_user: spec.run_as_user(),
            deprecated: spec.deprecated,
            end_of_life: spec.end_of_life,
            extensions: spec.extensions.clone(),
            constraints: Constraints::new(&spec.update_constraints),
        })
    }

    /// Name of the `PostgresVersion`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.version_ref.name
    }

    /// The warning about a version that is end of life or deprecated.
    #[must_use]
    pub fn lifecycle_warning(&self) -> Option<String> {
        let name = self.name();
        match (self.end_of_life, self.deprecated) {
            (true, _) => Some(format!(
                "{name} is end of life: the PostgreSQL project no longer releases fixes for this major version"
            )),
            (false, true) => Some(format!("{name} is deprecated: choose a newer version if you can")),
            (false, false) => None,
        }
    }

    /// The base systems of both, if both are known and they differ.
    #[must_use]
    pub fn changed_base_os<'a>(&'a self, target: &'a Self) -> Option<(&'a str, &'a str)> {
        self.base_os().zip(target.base_os()).filter(|(from, to)| from != to)
    }

    /// The `PostgreSQL` release of this entry; fails if pgops does not support it.
    pub fn release(&self) -> Result<PgVersion, UnsupportedRelease> {
        release(&self.version_ref.version, &self.version)
    }

    /// The known fault of this release, if any.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.release().ok().and_then(Fault::of)
    }

    /// The known fault of this release that matters if it is upgraded from.
    #[must_use]
    pub fn fault_as_source(&self) -> Option<Fault> {
        self.release().ok().and_then(Fault::of_source)
    }

    pub(super) fn base_os(&self) -> Option<&str> {
        self.base_os.as_deref().filter(|name| !name.is_empty())
    }
}
