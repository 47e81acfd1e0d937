//! Rules for `Postgres` objects.

use pgops_api::Postgres;
use pgops_api::matrix::Catalog;
use pgops_api::postgres::{STORAGE_TYPE_IS_IMMUTABLE, StorageType};

use super::deletion::DeletionPolicies;
use super::known_version::check_version;
use super::{deletion, version_change};
use crate::admission::decision::{Cause, Decision};
use crate::admission::operation::Operation;
use crate::admission::request::AdmissionRequest;
use crate::cache::Caches;

/// A new database must be able to run, and a change must not prevent that; its version changes only together
/// with its data; one that is protected or being upgraded must not be deleted.
pub fn decide(caches: &Caches, request: &AdmissionRequest<'_>) -> Decision {
    let decision = match Operation::<Postgres>::parse(request) {
        Ok(Operation::Create(new)) => create(&caches.catalog(), &new),
        Ok(Operation::Update { new, old }) => update(caches, request, &new, &old),
        Ok(Operation::Delete(old)) => deletion::decide(caches, request, &old),
        Ok(Operation::Irrelevant) => Ok(Vec::new()),
        Err(unreadable) => Err(two_deletion_policies(request).map_or(unreadable, Decision::Invalid)),
    };
    decision.map_or_else(|denied| denied, Decision::Allowed)
}

/// An object that sets the field under both names cannot even be parsed.
fn two_deletion_policies(request: &AdmissionRequest<'_>) -> Option<Cause> {
    let policies: DeletionPolicies = request.object.as_ref()?.peek_spec()?;
    policies.deletion_policy.and(policies.termination_policy).map(|_| Cause {
        reason: "TwoDeletionPolicies",
        message: "spec.terminationPolicy: deprecated alias of spec.deletionPolicy, and both are set: \
                  keep only spec.deletionPolicy"
            .to_owned(),
        field: "spec.terminationPolicy".into(),
    })
}

fn create(catalog: &Catalog, new: &Postgres) -> Result<Vec<String>, Decision> {
    let mut warnings = check_version(catalog, new)?;
    check_replicas(new)?;
    match new.storage_type() {
        StorageType::Durable => check_storage(new)?,
        StorageType::Ephemeral => warnings.push(
            "storageType Ephemeral: the data is lost with its pod, and the database cannot be upgraded"
                .to_owned(),
        ),
    }
    Ok(warnings)
}

fn update(
    caches: &Caches,
    request: &AdmissionRequest<'_>,
    new: &Postgres,
    old: &Postgres,
) -> Result<Vec<String>, Decision> {
    if new.storage_type() != old.storage_type() {
        return Err(Decision::Invalid(Cause {
            reason: "Immutable",
            message: format!("spec.storageType: {STORAGE_TYPE_IS_IMMUTABLE}"),
            field: "spec.storageType".into(),
        }));
    }
    if new.replicas() != old.replicas() {
        check_replicas(new)?;
    }
    if new.spec.version == old.spec.version {
        return Ok(Vec::new());
    }
    version_change::decide(caches, &request.user_info.username, new, old)
}

fn check_replicas(new: &Postgres) -> Result<(), Decision> {
    match new.replicas() {
        1 => Ok(()),
        replicas => Err(Decision::Forbidden(Cause {
            reason: "ReplicasUnsupported",
            message: format!(
                "spec.replicas: {replicas} is not supported: pgops runs one server per database and has no \
                 replication yet; set spec.replicas: 1"
            ),
            field: "spec.replicas".into(),
        })),
    }
}

fn check_storage(new: &Postgres) -> Result<(), Decision> {
    let requests = new.spec.storage.as_ref().and_then(|claim| claim.resources.as_ref()?.requests.as_ref());
    if requests.is_some_and(|requests| requests.contains_key("storage")) {
        return Ok(());
    }
    Err(Decision::Invalid(Cause {
        reason: "StorageMissing",
        message:
            "spec.storage.resources.requests.storage: a Durable database requires a size, such as \"1Gi\"; or \
                  set spec.storageType: Ephemeral"
                .to_owned(),
        field: "spec.storage.resources.requests.storage".into(),
    }))
}
