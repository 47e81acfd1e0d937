//! A version that the catalog must have.

use pgops_api::Postgres;
use pgops_api::matrix::Catalog;

use crate::admission::decision::{Cause, Decision};

/// Checks that the database's version is in the catalog; warns if it is deprecated or end of life.
pub fn check_version(catalog: &Catalog, new: &Postgres) -> Result<Vec<String>, Decision> {
    let version = &new.spec.version;
    let Some(entry) = catalog.get(version) else {
        return Err(Decision::Forbidden(Cause {
            reason: "UnknownVersion",
            message: format!("spec.version: {}", catalog.explain_unknown(version)),
            field: "spec.version".into(),
        }));
    };
    Ok(entry.lifecycle_warning().into_iter().collect())
}
