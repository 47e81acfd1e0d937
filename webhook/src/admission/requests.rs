//! Reviews of `PostgresOpsRequest`s.

use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, Operation};
use pgops_api::PostgresOpsRequest;
use pgops_api::admission;
use pgops_api::opsrequest::TWO_TARGETS;

use super::caches::Caches;
use super::mutation::{OLDER_FORM, is_older};
use super::verdict::{Asked, Cause, Verdict};

/// New requests are decided on. A stored one keeps its spec, and may always be deleted.
pub fn judge(caches: &Caches, request: &AdmissionRequest<DynamicObject>) -> Verdict {
    if let Some(operation) = other_operation(request) {
        // Not even its shape is ours to judge: KubeDB's API may have grown.
        let created = request.operation == Operation::Create;
        return Verdict::Allowed(created.then(|| admission::not_ours(operation)).into_iter().collect());
    }
    match Asked::<PostgresOpsRequest>::read(request) {
        Ok(Asked::Create(new)) => create(caches, request, &new),
        Ok(Asked::Change { new, old }) if old.updates_version() && new.spec != old.spec => {
            Verdict::Invalid(Cause {
                reason: "Immutable",
                message: "spec is immutable: create a new PostgresOpsRequest instead".to_owned(),
                field: "spec".into(),
            })
        }
        Ok(_) => Verdict::Allowed(Vec::new()),
        Err(unreadable) => unreadable,
    }
}

/// The request may still have its older form: the API server goes on when the webhook that changes it
/// does not answer.
fn create(caches: &Caches, request: &AdmissionRequest<DynamicObject>, new: &PostgresOpsRequest) -> Verdict {
    if let (Some(update), Some(upgrade)) = (&new.spec.update_version, &new.spec.upgrade)
        && update != upgrade
    {
        return Verdict::Invalid(Cause {
            reason: "TwoTargets",
            message: format!("spec.upgrade: {TWO_TARGETS}"),
            field: "spec.upgrade".into(),
        });
    }
    let older = request.object.as_ref().is_some_and(|object| is_older(&object.data["spec"]));
    match admission::decide(&caches.snapshot(new).facts(new)) {
        Ok(admitted) => {
            let older = older.then(|| OLDER_FORM.to_owned());
            Verdict::Allowed(older.into_iter().chain(admitted.warnings).collect())
        }
        Err(denial) => denial.into(),
    }
}

/// The request's type, where it is one that pgops does not execute, before and after the change.
fn other_operation(request: &AdmissionRequest<DynamicObject>) -> Option<&str> {
    let objects = [request.object.as_ref(), request.old_object.as_ref()];
    let types = objects.map(|object| object.and_then(|object| object.data["spec"]["type"].as_str()));
    let ours = types.iter().flatten().any(|it| matches!(*it, "UpdateVersion" | "Upgrade"));
    types.into_iter().flatten().next().filter(|_| !ours)
}
