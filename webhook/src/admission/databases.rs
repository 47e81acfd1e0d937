//! Reviews of `Postgres` objects.

mod deletion;
mod version;

use pgops_api::Postgres;
use pgops_api::matrix::Catalog;
use pgops_api::postgres::{STORAGE_TYPE_IS_IMMUTABLE, StorageType};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::review::Request;
use super::verdict::{Asked, Cause, Verdict};
use crate::cache::Caches;

/// A new database must be one that can run; a change must not make it one that cannot, and its version
/// changes with its data only; one that is protected or being upgraded is not deleted.
pub fn judge(caches: &Caches, request: &Request<'_>) -> Verdict {
    let verdict = match Asked::<Postgres>::read(request) {
        Ok(Asked::Create(new)) => create(&caches.catalog(), &new),
        Ok(Asked::Change { new, old }) => change(caches, request, &new, &old),
        Ok(Asked::Delete(old)) => deletion::judge(caches, request, &old),
        Ok(Asked::Nothing) => Ok(Vec::new()),
        Err(unreadable) => Err(two_deletion_policies(request).map_or(unreadable, Verdict::Invalid)),
    };
    verdict.map_or_else(|refused| refused, Verdict::Allowed)
}

/// The policy of deletion under both its names.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DeletionPolicies {
    deletion_policy: Option<IgnoredAny>,
    termination_policy: Option<IgnoredAny>,
}

/// Under both names the field cannot even be read.
fn two_deletion_policies(request: &Request<'_>) -> Option<Cause> {
    let policies: DeletionPolicies = request.object.as_ref()?.peek()?;
    policies.deletion_policy.and(policies.termination_policy).map(|_| Cause {
        reason: "TwoDeletionPolicies",
        message: "spec.terminationPolicy: this is the older name of spec.deletionPolicy, and both are set: \
                  keep spec.deletionPolicy only"
            .to_owned(),
        field: "spec.terminationPolicy".into(),
    })
}

fn create(catalog: &Catalog, new: &Postgres) -> Result<Vec<String>, Verdict> {
    let mut warnings = check_version(catalog, new)?;
    check_replicas(new)?;
    match new.storage_type() {
        StorageType::Durable => check_storage(new)?,
        StorageType::Ephemeral => warnings.push(
            "storageType Ephemeral: the data is gone with its pod, and the database cannot be upgraded"
                .to_owned(),
        ),
    }
    Ok(warnings)
}

fn change(
    caches: &Caches,
    request: &Request<'_>,
    new: &Postgres,
    old: &Postgres,
) -> Result<Vec<String>, Verdict> {
    if new.storage_type() != old.storage_type() {
        return Err(Verdict::Invalid(Cause {
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
    version::judge(caches, &request.user_info.username, new, old)
}

/// The version is in the catalog; says what is known against it.
fn check_version(catalog: &Catalog, new: &Postgres) -> Result<Vec<String>, Verdict> {
    let version = &new.spec.version;
    let Some(entry) = catalog.get(version) else {
        return Err(Verdict::Forbidden(Cause {
            reason: "UnknownVersion",
            message: format!("spec.version: {}", catalog.explain_unknown(version)),
            field: "spec.version".into(),
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
            field: "spec.replicas".into(),
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
        field: "spec.storage.resources.requests.storage".into(),
    }))
}
