//! Rules for the deletion of a `Postgres`.

use std::sync::Arc;

use kube::ResourceExt;
use pgops_api::admission::NamespacedName;
use pgops_api::names::ANNOTATION_OVERRIDE;
use pgops_api::opsrequest::Phase;
use pgops_api::postgres::DeletionPolicy;
use pgops_api::{Postgres, PostgresOpsRequest};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::admission::decision::{Cause, Decision};
use crate::admission::object::Object;
use crate::admission::request::{AdmissionRequest, WriteOptions};
use crate::cache::Caches;

/// The deletion policy under both its names.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeletionPolicies {
    /// The current name.
    pub deletion_policy: Option<IgnoredAny>,
    /// The deprecated name.
    pub termination_policy: Option<IgnoredAny>,
}

/// A protected database must not be deleted, and neither must one whose data is being converted.
pub fn decide(
    caches: &Caches,
    request: &AdmissionRequest<'_>,
    old: &Postgres,
) -> Result<Vec<String>, Decision> {
    let database = NamespacedName::of(old);
    if old.deletion_policy() == DeletionPolicy::DoNotTerminate {
        return Err(protected(request, &database));
    }
    if request.options.as_ref().is_some_and(WriteOptions::orphans) && !old.overrides_guards() {
        return Err(orphaning(&database));
    }
    let active = caches.active(database.namespace, database.name);
    // Other operations convert no data.
    let is_running = |request: &&Arc<PostgresOpsRequest>| {
        request.updates_version() && request.phase() == Phase::Progressing
    };
    let Some(upgrade) = active.iter().find(is_running) else {
        return Ok(Vec::new());
    };
    let name = upgrade.name_any();
    if old.overrides_guards() {
        return Ok(vec![format!(
            "{database} is deleted while PostgresOpsRequest {name} upgrades it ({ANNOTATION_OVERRIDE}): {}",
            data_consequence(old)
        )]);
    }
    // Deleting both is intended. When the namespace is deleted, so is the worker, and a database that waited
    // for it would block the deletion of the namespace forever.
    if upgrade.metadata.deletion_timestamp.is_some() {
        return Ok(vec![format!(
            "{database} is deleted while PostgresOpsRequest {name} is being rolled back: {}",
            data_consequence(old)
        )]);
    }
    Err(Decision::Forbidden(Cause {
        reason: "UpgradeInProgress",
        message: in_progress(upgrade, old, &database),
        field: "metadata.name".into(),
    }))
}

fn in_progress(upgrade: &PostgresOpsRequest, old: &Postgres, database: &NamespacedName<'_>) -> String {
    let status = upgrade.status.as_ref();
    let from = upgrade.from_version().unwrap_or(&old.spec.version);
    let step = status.and_then(|status| status.step.as_deref()).unwrap_or("starting");
    let NamespacedName { namespace, name } = database;
    format!(
        "{database} is being upgraded from {from} to {} by PostgresOpsRequest {request} ({step}). If it is deleted \
         now, an interrupted upgrade can neither be resumed nor rolled back, and {}. Wait until the request has ended \
         (kubectl get pgops {request} -n {namespace} -w), or delete the request, which rolls the upgrade back if that \
         is still possible (kubectl delete pgops {request} -n {namespace}); deleting the namespace does so by itself \
         and retries. To delete the database anyway: kubectl annotate pg {name} -n {namespace} \
         {ANNOTATION_OVERRIDE}=true",
        upgrade.target().unwrap_or("another version"),
        data_consequence(old),
        request = upgrade.name_any(),
    )
}

/// The provisioner stops the server, and deletes what the policy names; what else it has made would stay without an owner, and no
/// database of that name could be created.
fn orphaning(database: &NamespacedName<'_>) -> Decision {
    let NamespacedName { namespace, name } = database;
    Decision::Forbidden(Cause {
        reason: "Orphaning",
        message: format!(
            "{database} cannot be deleted with --cascade=orphan: its server is stopped, and spec.deletionPolicy says what becomes of \
             its data. To keep volume claims and Secrets for the next Postgres of that name: kubectl patch pg {name} -n {namespace} \
             --type merge -p '{{\"spec\":{{\"deletionPolicy\":\"Halt\"}}}}', and delete it without that option"
        ),
        field: "metadata.name".into(),
    })
}

/// What happens to the data under the deletion policy.
fn data_consequence(old: &Postgres) -> &'static str {
    match old.deletion_policy() {
        DeletionPolicy::Halt | DeletionPolicy::DoNotTerminate => {
            "its volume claims and Secrets are kept, with the data as the upgrade leaves it"
        }
        DeletionPolicy::Delete => {
            "its data is deleted as soon as the upgrade releases it (deletionPolicy Delete)"
        }
        DeletionPolicy::WipeOut => {
            "its data and Secrets are deleted as soon as the upgrade releases them (deletionPolicy WipeOut)"
        }
    }
}

fn protected(request: &AdmissionRequest<'_>, database: &NamespacedName<'_>) -> Decision {
    // The suggested command must not set the field under its other name.
    let policies = request.old_object.as_ref().and_then(Object::peek_spec::<DeletionPolicies>);
    let is_deprecated = policies.is_some_and(|policies| policies.termination_policy.is_some());
    let field = if is_deprecated { "terminationPolicy" } else { "deletionPolicy" };
    let NamespacedName { namespace, name } = database;
    Decision::Forbidden(Cause {
        reason: "DoNotTerminate",
        message: format!(
            "{database} has {field} DoNotTerminate, so it cannot be deleted: to delete it anyway, first \
             run kubectl patch pg {name} -n {namespace} --type merge -p '{{\"spec\":{{\"{field}\":\"Halt\"}}}}' \
             (Halt keeps its volume claims and Secrets, Delete keeps its Secrets, WipeOut keeps nothing)"
        ),
        field: format!("spec.{field}").into(),
    })
}
