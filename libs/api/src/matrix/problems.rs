//! What the author of a catalog entry should correct.

use super::constraints::{Constraints, InvalidConstraint};
use super::release::release;
use crate::constraint::Version;
use crate::postgresversion::{ExtensionRule, PostgresVersionSpec};

/// The errors of an entry, each with its consequence.
#[must_use]
pub fn problems(spec: &PostgresVersionSpec) -> Vec<String> {
    let version = match Version::parse(&spec.version) {
        Ok(version) => version,
        Err(error) => {
            return vec![format!("this PostgresVersion is ignored until spec.version is corrected: {error}")];
        }
    };
    let unsupported = release(&spec.version, &version).err().map(|error| {
        format!("databases cannot be upgraded from or to this PostgresVersion: spec.version: {error}")
    });
    let invalid =
        Constraints::new(&spec.update_constraints).err().map(|InvalidConstraint { list, error }| {
            format!(
                "databases of this PostgresVersion cannot be upgraded until spec.updateConstraints.{list} is \
             corrected: {error}"
            )
        });
    let extensions = ExtensionRule::parse_all(&spec.extensions).err().map(|error| {
        format!("databases cannot be upgraded to this PostgresVersion until it is corrected: {error}")
    });
    unsupported.into_iter().chain(invalid).chain(extensions).collect()
}
