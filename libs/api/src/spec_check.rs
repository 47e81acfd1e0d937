//! What can be known to be wrong with a `Postgres` from the object alone: what the API server would refuse of its
//! children, and what `PostgreSQL` cannot run with.
//!
//! Admission refuses such an object; the provisioner reports one that was stored without admission.

mod lost_fields;
mod metadata;
mod name;
mod pod;
mod problem;
mod resources;
mod servers;
mod storage;
mod tls;
mod user;

use k8s_openapi::api::core::v1::ResourceRequirements;

pub use problem::{SpecProblem, SpecProblemReason};
pub use user::root_user_problem;

use crate::Postgres;
use crate::names::ANNOTATION_OVERRIDE;
use crate::quantity::Quantity;
use crate::settings;
use crate::topology::StandbySupport;

/// Everything that is wrong with the object in such an installation; empty if its children can be created.
#[must_use]
pub fn spec_problems(database: &Postgres, support: StandbySupport) -> Vec<SpecProblem> {
    let mut problems = Vec::new();
    problems.extend(name::check(database));
    problems.extend(servers::check(database, support));
    problems.extend(storage::check(database));
    problems.extend(name::check_references(database));
    problems.extend(pod::check(database));
    problems.extend(inline_settings(database));
    problems.extend(tls::check(database));
    problems
}

/// What leaves no children to create; what else is wrong, the API server refuses of them.
#[must_use]
pub fn build_problem(database: &Postgres, support: StandbySupport) -> Option<SpecProblem> {
    use SpecProblemReason::{InvalidName, InvalidTls, ReplicasUnsupported, StorageMissing};
    // With `allow` and `prefer` and no certificates nothing is promised to clients.
    let promises_tls = database.server_tls().is_some() || database.ssl_mode().requires_tls();
    let is_fatal = |it: &SpecProblem| match it.reason {
        InvalidName | ReplicasUnsupported | StorageMissing => true,
        InvalidTls => promises_tls,
        _ => false,
    };
    spec_problems(database, support).into_iter().find(is_fatal)
}

/// What a change makes wrong. What was wrong before does not keep a user from changing something else.
#[must_use]
pub fn change_problems(new: &Postgres, old: &Postgres, support: StandbySupport) -> Vec<SpecProblem> {
    let known = spec_problems(old, support);
    let mut problems = spec_problems(new, support);
    problems.retain(|problem| !known.contains(problem));
    problems.extend(servers::check_change(new, old, support));
    problems.extend(shrunk_storage(new, old).filter(|_| !new.overrides_guards()));
    problems
}

/// What is wrong with requests and limits of the server's container, which are at this path.
#[must_use]
pub fn resource_problems(path: &str, amounts: &ResourceRequirements) -> Vec<SpecProblem> {
    resources::check(path, amounts)
}

/// What is wrong with a size of the volume, which is in this field.
#[must_use]
pub fn size_problem(field: &str, size: &str) -> Option<SpecProblem> {
    storage::check_size(field, size)
}

/// The size of the volume that the object requests, as written.
#[must_use]
pub fn requested_storage(database: &Postgres) -> Option<&str> {
    storage::requested(database)
}

/// What is admitted, and is probably not what the user expects.
#[must_use]
pub fn spec_warnings(database: &Postgres) -> Vec<String> {
    let mut warnings = storage::warnings(database);
    warnings.extend(tls::warnings(database));
    warnings.extend(lost_fields::warnings(database));
    warnings.extend(servers::warnings(database));
    warnings
}

/// The same of a change: what is new, and what has no effect on a database that exists.
#[must_use]
pub fn change_warnings(new: &Postgres, old: &Postgres) -> Vec<String> {
    let known = spec_warnings(old);
    let mut warnings = spec_warnings(new);
    warnings.retain(|warning| !known.contains(warning));
    warnings.extend(storage::change_warnings(new, old));
    warnings
}

fn inline_settings(database: &Postgres) -> Option<SpecProblem> {
    let inline = &database.spec.configuration.as_ref()?.inline;
    let text = match settings::of_map(inline) {
        Ok("") => return None,
        Ok(text) => settings::check(text).err(),
        Err(error) => Some(error),
    };
    let field = "spec.configuration.inline";
    text.map(|error| SpecProblem::new(SpecProblemReason::InvalidSettings, field, error.to_string()))
}

fn shrunk_storage(new: &Postgres, old: &Postgres) -> Option<SpecProblem> {
    let (now, before) = (storage::requested(new)?, storage::requested(old)?);
    let shrinks = now.parse::<Quantity>().ok()? < before.parse::<Quantity>().ok()?;
    shrinks.then(|| {
        let message = format!(
            "{now} is less than {before}, and a volume cannot shrink: keep {before}, or create a smaller database and \
             copy the data. A size that the volume never reached may be taken away with the annotation \
             {ANNOTATION_OVERRIDE}: \"true\""
        );
        SpecProblem::new(SpecProblemReason::StorageShrunk, storage::SIZE, message)
    })
}

#[cfg(test)]
mod tests;
