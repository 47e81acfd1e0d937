//! What must not be deleted now, or not at all.

use kube::ResourceExt;
use pgops_api::admission::NamespacedName;
use pgops_api::names::ANNOTATION_OVERRIDE;
use pgops_api::opsrequest::Phase;
use pgops_api::postgres::DeletionPolicy;
use pgops_api::{Postgres, PostgresOpsRequest};

use super::DeletionPolicies;
use crate::admission::object::Object;
use crate::admission::review::Request;
use crate::admission::verdict::{Cause, Verdict};
use crate::cache::Caches;

/// A database that its owner protected stays, and so does one whose data is being converted.
pub fn judge(caches: &Caches, request: &Request<'_>, old: &Postgres) -> Result<Vec<String>, Verdict> {
    let place = NamespacedName::of(old);
    if old.deletion_policy() == DeletionPolicy::DoNotTerminate {
        return Err(protected(request, &place));
    }
    let active = caches.active(place.namespace, place.name);
    let Some(upgrade) = active.iter().find(|request| request.phase() == Phase::Progressing) else {
        return Ok(Vec::new());
    };
    let name = upgrade.name_any();
    if old.overrides_guards() {
        return Ok(vec![format!(
            "{place} is deleted while PostgresOpsRequest {name} upgrades it ({ANNOTATION_OVERRIDE}): {}",
            fate(old)
        )]);
    }
    // Whoever deletes both has decided. In a namespace that goes, the worker goes as well, and a database
    // that waited for it would keep the namespace for ever.
    if upgrade.metadata.deletion_timestamp.is_some() {
        return Ok(vec![format!(
            "{place} is deleted while PostgresOpsRequest {name} is being taken back: {}",
            fate(old)
        )]);
    }
    Err(Verdict::Forbidden(Cause {
        reason: "UpgradeInProgress",
        message: in_progress(upgrade, old, &place),
        field: "metadata.name".into(),
    }))
}

fn in_progress(upgrade: &PostgresOpsRequest, old: &Postgres, place: &NamespacedName<'_>) -> String {
    let status = upgrade.status.as_ref();
    let from = status.and_then(|status| status.from.as_deref()).unwrap_or(&old.spec.version);
    let step = status.and_then(|status| status.step.as_deref()).unwrap_or("at its beginning");
    let NamespacedName { namespace, name } = place;
    format!(
        "{place} is being upgraded from {from} to {} by PostgresOpsRequest {request} ({step}). Deleted now, an upgrade \
         that is interrupted would neither be carried on nor taken back, and {}. Wait until the request has ended \
         (kubectl get pgops {request} -n {namespace} -w), or delete it, which takes the upgrade back if it still can \
         (kubectl delete pgops {request} -n {namespace}); a namespace that is being deleted does that by itself, and \
         asks again. To delete the database all the same: kubectl annotate pg {name} -n {namespace} \
         {ANNOTATION_OVERRIDE}=true",
        upgrade.target().unwrap_or("another version"),
        fate(old),
        request = upgrade.name_any(),
    )
}

/// What the policy makes of the data, in the words of what will happen.
fn fate(old: &Postgres) -> &'static str {
    match old.deletion_policy() {
        DeletionPolicy::Halt | DeletionPolicy::DoNotTerminate => {
            "its claims and secrets stay, with the data as the upgrade leaves it"
        }
        DeletionPolicy::Delete => {
            "its data goes as soon as the upgrade lets go of it (deletionPolicy Delete)"
        }
        DeletionPolicy::WipeOut => {
            "its data and secrets go as soon as the upgrade lets go of it (deletionPolicy WipeOut)"
        }
    }
}

fn protected(request: &Request<'_>, place: &NamespacedName<'_>) -> Verdict {
    // The remedy must not add the field under its other name.
    let policies = request.old_object.as_ref().and_then(Object::peek::<DeletionPolicies>);
    let older = policies.is_some_and(|policies| policies.termination_policy.is_some());
    let field = if older { "terminationPolicy" } else { "deletionPolicy" };
    let NamespacedName { namespace, name } = place;
    Verdict::Forbidden(Cause {
        reason: "DoNotTerminate",
        message: format!(
            "{place} has {field} DoNotTerminate, so it is not deleted: to delete it all the same, first \
             run kubectl patch pg {name} -n {namespace} --type merge -p '{{\"spec\":{{\"{field}\":\"Halt\"}}}}' \
             (Halt keeps its claims and secrets, Delete its secrets, WipeOut nothing)"
        ),
        field: format!("spec.{field}").into(),
    })
}
