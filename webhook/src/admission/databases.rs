//! Reviews of `Postgres` objects.

use kube::core::DynamicObject;
use kube::core::admission::AdmissionRequest;
use pgops_api::Postgres;
use pgops_api::matrix::Catalog;
use pgops_api::postgres::{DeletionPolicy, StorageType};

use super::caches::Caches;
use super::verdict::{Asked, Cause, Verdict};

/// A new database must be one that can run; a change must not make it one that cannot; one that its
/// owner protected is not deleted.
pub fn judge(caches: &Caches, request: &AdmissionRequest<DynamicObject>) -> Verdict {
    // Under both names the field cannot even be read.
    if let Some(cause) = two_deletion_policies(request) {
        return Verdict::Invalid(cause);
    }
    let verdict = match Asked::<Postgres>::read(request) {
        Ok(Asked::Create(new)) => create(&caches.catalog(), &new),
        Ok(Asked::Change { new, old }) => change(caches, &new, &old),
        Ok(Asked::Delete(old)) => delete(request, &old),
        Ok(Asked::Nothing) => Ok(Vec::new()),
        Err(unreadable) => Err(unreadable),
    };
    verdict.map_or_else(|refused| refused, Verdict::Allowed)
}

fn two_deletion_policies(request: &AdmissionRequest<DynamicObject>) -> Option<Cause> {
    let spec = &request.object.as_ref()?.data["spec"];
    let unchanged = request.old_object.as_ref().is_some_and(|old| old.data["spec"] == *spec);
    let both = !spec["deletionPolicy"].is_null() && !spec["terminationPolicy"].is_null();
    (both && !unchanged).then(|| Cause {
        reason: "TwoDeletionPolicies",
        message: "spec.terminationPolicy: this is the older name of spec.deletionPolicy, and both are set: \
                  keep spec.deletionPolicy only"
            .to_owned(),
        field: "spec.terminationPolicy",
    })
}

fn create(catalog: &Catalog, new: &Postgres) -> Result<Vec<String>, Verdict> {
    let mut warnings = check_version(catalog, new)?;
    check_replicas(new)?;
    match new.spec.storage_type.unwrap_or_default() {
        StorageType::Durable => check_storage(new)?,
        StorageType::Ephemeral => warnings.push(
            "storageType Ephemeral: the data is gone with its pod, and the database cannot be upgraded"
                .to_owned(),
        ),
    }
    Ok(warnings)
}

fn change(caches: &Caches, new: &Postgres, old: &Postgres) -> Result<Vec<String>, Verdict> {
    if new.replicas() != old.replicas() {
        check_replicas(new)?;
    }
    if new.spec.version == old.spec.version {
        return Ok(Vec::new());
    }
    let mut warnings = check_version(&caches.catalog(), new)?;
    let (namespace, name) = place(new);
    // The runner of an active request writes the version last, when the server has it already.
    if caches.active(namespace, name).is_empty() {
        warnings.push(format!(
            "spec.version of {namespace}/{name} was changed by hand, {} to {}: that upgrades nothing; set it \
             back, and apply a PostgresOpsRequest",
            old.spec.version, new.spec.version
        ));
    }
    Ok(warnings)
}

fn delete(request: &AdmissionRequest<DynamicObject>, old: &Postgres) -> Result<Vec<String>, Verdict> {
    if old.deletion_policy() != DeletionPolicy::DoNotTerminate {
        return Ok(Vec::new());
    }
    let (namespace, name) = place(old);
    // The remedy must not add the field under its other name.
    let older =
        request.old_object.as_ref().is_some_and(|old| !old.data["spec"]["terminationPolicy"].is_null());
    let field = if older { "terminationPolicy" } else { "deletionPolicy" };
    Err(Verdict::Forbidden(Cause {
        reason: "DoNotTerminate",
        message: format!(
            "{namespace}/{name} has {field} DoNotTerminate, so it is not deleted: to delete it all the same, first \
             run kubectl patch pg {name} -n {namespace} --type merge -p '{{\"spec\":{{\"{field}\":\"Halt\"}}}}' \
             (Halt keeps its claims and secrets, Delete its secrets, WipeOut nothing)"
        ),
        field: if older { "spec.terminationPolicy" } else { "spec.deletionPolicy" },
    }))
}

/// The version is in the catalog; says what is known against it.
fn check_version(catalog: &Catalog, new: &Postgres) -> Result<Vec<String>, Verdict> {
    let version = &new.spec.version;
    let Some(entry) = catalog.get(version) else {
        return Err(Verdict::Forbidden(Cause {
            reason: "UnknownVersion",
            message: format!("spec.version: {}", catalog.explain_unknown(version)),
            field: "spec.version",
        }));
    };
    Ok(entry.outdated().into_iter().collect())
}

fn check_replicas(new: &Postgres) -> Result<(), Verdict> {
    match new.replicas() {
        1 => Ok(()),
        replicas => Err(Verdict::Forbidden(Cause {
            reason: "ReplicasUnsupported",
            message: format!(
                "spec.replicas: {replicas} is not supported: pgops runs databases of one server, and has no \
                 replication yet; set spec.replicas: 1"
            ),
            field: "spec.replicas",
        })),
    }
}

fn check_storage(new: &Postgres) -> Result<(), Verdict> {
    let requests = new.spec.storage.as_ref().and_then(|claim| claim.resources.as_ref()?.requests.as_ref());
    if requests.is_some_and(|requests| requests.contains_key("storage")) {
        return Ok(());
    }
    Err(Verdict::Invalid(Cause {
        reason: "StorageMissing",
        message:
            "spec.storage.resources.requests.storage: a Durable database needs a size, such as \"1Gi\"; or \
                  set spec.storageType: Ephemeral"
                .to_owned(),
        field: "spec.storage.resources.requests.storage",
    }))
}

fn place(database: &Postgres) -> (&str, &str) {
    let metadata = &database.metadata;
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}
