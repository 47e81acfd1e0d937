//! What can be known to be wrong with a `Postgres` from the object alone: what the API server would refuse of its
//! children, and what `PostgreSQL` cannot run with.
//!
//! Admission refuses such an object; the provisioner reports one that was stored without admission.

mod metadata;
mod name;
mod pod;
mod problem;
mod resources;
mod storage;

pub use name::is_database_name;
pub use problem::{SpecProblem, SpecProblemReason};

use crate::Postgres;
use crate::names::ANNOTATION_OVERRIDE;
use crate::quantity::Quantity;

/// Everything that is wrong with the object; empty if its children can be created.
#[must_use]
pub fn spec_problems(database: &Postgres) -> Vec<SpecProblem> {
    let mut problems = Vec::new();
    problems.extend(name::check(database));
    problems.extend(replicas(database));
    problems.extend(storage::check(database));
    problems.extend(name::check_references(database));
    problems.extend(pod::check(database));
    problems
}

/// What a change makes wrong. What was wrong before does not keep a user from changing something else.
#[must_use]
pub fn change_problems(new: &Postgres, old: &Postgres) -> Vec<SpecProblem> {
    let known = spec_problems(old);
    let mut problems = spec_problems(new);
    problems.retain(|problem| !known.contains(problem));
    problems.extend(shrunk_storage(new, old).filter(|_| !new.overrides_guards()));
    problems
}

/// What is admitted, and is probably not what the user expects.
#[must_use]
pub fn spec_warnings(database: &Postgres) -> Vec<String> {
    storage::warnings(database)
}

fn replicas(database: &Postgres) -> Option<SpecProblem> {
    let remedy = match database.replicas() {
        1 => return None,
        0 => {
            "is not supported: set spec.replicas: 1; to stop the database and keep its data, set spec.deletionPolicy: Halt \
             and delete it"
        }
        ..0 => "is negative: set spec.replicas: 1",
        2.. => {
            "is not supported: pgops runs one server per database and has no replication yet; set spec.replicas: 1"
        }
    };
    let message = format!("{} {remedy}", database.replicas());
    Some(SpecProblem::new(SpecProblemReason::ReplicasUnsupported, "spec.replicas", message))
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
