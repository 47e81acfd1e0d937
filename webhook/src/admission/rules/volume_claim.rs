//! A volume claim that is deleted stays as long as a pod uses it, and takes the data with it at the next restart: hours or
//! months after the mistake, and no deletion can be undone.

use kube::runtime::reflector::ObjectRef;
use pgops_api::names::{self, ANNOTATION_OVERRIDE};
use pgops_api::postgres::StorageType;

use crate::admission::decision::{Cause, Decision};
use crate::admission::request::AdmissionRequest;
use crate::cache::Caches;

/// The claim of a database that exists must not be deleted, unless it has the override annotation. One whose database is
/// being deleted may be: the deletion policy says what becomes of it, and the provisioner keeps to that.
pub fn decide(caches: &Caches, request: &AdmissionRequest<'_>) -> Decision {
    match used_by(caches, request) {
        None => Decision::Allowed(Vec::new()),
        Some(Use { claim, database, is_overridden: true }) => Decision::Allowed(vec![format!(
            "the data of Postgres {database} is lost when its pod stops: it is on {claim}, whose deletion the annotation \
             {ANNOTATION_OVERRIDE} allowed"
        )]),
        Some(Use { claim, database, is_overridden: false }) => {
            let (namespace, name) = database.split_once('/').unwrap_or_default();
            Decision::Forbidden(Cause {
                reason: "InUse",
                message: format!(
                    "{claim} holds the data of Postgres {database}, which is lost when its pod stops: delete the Postgres \
                     instead (kubectl delete pg {name} -n {namespace}), whose deletionPolicy says what becomes of the \
                     claim. To delete the claim anyway: kubectl annotate pvc {claim} -n {namespace} \
                     {ANNOTATION_OVERRIDE}=true"
                ),
                field: "metadata.name".into(),
            })
        }
    }
}

/// A database that uses the claim.
struct Use {
    claim: String,
    /// Namespace and name of the database.
    database: String,
    is_overridden: bool,
}

fn used_by(caches: &Caches, request: &AdmissionRequest<'_>) -> Option<Use> {
    let old = request.deleted()?;
    // When a whole collection is deleted the request has no name, and each object has its own.
    let claim = old.metadata.name.as_deref()?;
    let namespace = request.namespace.as_deref()?;
    let (name, ordinal) = names::parse_claim(claim)?;
    let database = caches.database(&ObjectRef::new(name).within(namespace))?;
    let servers = u32::try_from(database.replicas()).unwrap_or(1).max(1);
    let is_used = caches.manages(database.metadata.labels.as_ref())
        && database.metadata.deletion_timestamp.is_none()
        && database.storage_type() == StorageType::Durable
        && ordinal < servers;
    is_used.then(|| Use {
        claim: claim.to_owned(),
        database: format!("{namespace}/{name}"),
        is_overridden: old.overrides_guards(),
    })
}
