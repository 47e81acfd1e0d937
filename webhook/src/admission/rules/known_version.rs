//! A version that the catalog must have.

use pgops_api::Postgres;
use pgops_api::matrix::Catalog;
use pgops_api::spec_check::root_user_problem;

use crate::admission::decision::{Cause, Decision};

/// Checks that the database's version is in the catalog and can run; warns if it is deprecated or end of life.
pub fn check_version(catalog: &Catalog, new: &Postgres) -> Result<Vec<String>, Decision> {
    let version = &new.spec.version;
    let Some(entry) = catalog.get(version) else {
        return Err(Decision::Forbidden(Cause {
            reason: "UnknownVersion",
            message: format!("spec.version: {}", catalog.explain_unknown(version)),
            field: "spec.version".into(),
        }));
    };
    let unusable = |reason, problem: String| {
        let message = format!("spec.version: PostgresVersion {version} cannot be used: {problem}");
        Decision::Forbidden(Cause { reason, message, field: "spec.version".into() })
    };
    entry.release().map_err(|error| {
        unusable(
            "UnsupportedVersion",
            format!("its spec.version {error}; choose a release of PostgreSQL 10 or newer"),
        )
    })?;
    if let Some(problem) = root_user_problem(entry.run_as_user) {
        return Err(unusable("RunsAsRoot", problem));
    }
    Ok(entry.lifecycle_warning().into_iter().collect())
}
