//! Reviews of `PostgresOpsRequest`s.

use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, Operation};
use pgops_api::PostgresOpsRequest;
use pgops_api::admission;
use pgops_api::opsrequest::RequestType;

use super::caches::Caches;
use super::verdict::{Asked, Cause, Verdict};

/// New requests are decided on. A stored one keeps its spec, and may always be deleted.
pub fn judge(caches: &Caches, request: &AdmissionRequest<DynamicObject>) -> Verdict {
    if let Some(operation) = other_operation(request) {
        // Not even its shape is ours to judge: KubeDB's API may have grown.
        let created = request.operation == Operation::Create;
        return Verdict::Allowed(created.then(|| admission::not_ours(operation)).into_iter().collect());
    }
    match Asked::<PostgresOpsRequest>::read(request) {
        Ok(Asked::Create(new)) => match admission::decide(&caches.snapshot(&new).facts(&new)) {
            Ok(admitted) => Verdict::Allowed(admitted.warnings),
            Err(denial) => denial.into(),
        },
        Ok(Asked::Change { new, old })
            if old.spec.type_ == RequestType::UpdateVersion && new.spec != old.spec =>
        {
            Verdict::Invalid(Cause {
                reason: "Immutable",
                message: "spec is immutable: create a new PostgresOpsRequest instead".to_owned(),
                field: "spec",
            })
        }
        Ok(_) => Verdict::Allowed(Vec::new()),
        Err(unreadable) => unreadable,
    }
}

/// The request's type, where it is one that pgops does not execute, before and after the change.
fn other_operation(request: &AdmissionRequest<DynamicObject>) -> Option<&str> {
    let objects = [request.object.as_ref(), request.old_object.as_ref()];
    let types = objects.map(|object| object.and_then(|object| object.data["spec"]["type"].as_str()));
    types.into_iter().flatten().next().filter(|_| !types.contains(&Some("UpdateVersion")))
}
