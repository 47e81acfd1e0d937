//! Reviews of `PostgresOpsRequest`s.

use kube::core::admission::Operation;
use pgops_api::PostgresOpsRequest;
use pgops_api::admission;
use pgops_api::opsrequest::TWO_TARGETS;
use serde::Deserialize;

use super::mutation::OLDER_FORM;
use super::review::Request;
use super::verdict::{Asked, Cause, Verdict};
use crate::cache::Caches;

/// New requests are decided on. A stored one keeps its spec, and may always be deleted.
pub fn judge(caches: &Caches, request: &Request<'_>) -> Verdict {
    match Asked::<PostgresOpsRequest>::read(request) {
        Ok(Asked::Create(new)) if new.updates_version() => create(caches, &new),
        Ok(Asked::Create(new)) => {
            Verdict::Allowed(vec![admission::unhandled_type(&new.spec.type_.to_string())])
        }
        Ok(Asked::Change { old, .. }) if old.updates_version() => Verdict::Invalid(Cause {
            reason: "Immutable",
            message: "spec is immutable: create a new PostgresOpsRequest instead".to_owned(),
            field: "spec".into(),
        }),
        Ok(_) => Verdict::Allowed(Vec::new()),
        // Not even its shape is ours to judge: KubeDB's API may have grown.
        Err(unreadable) => other_operation(request).map_or(unreadable, |operation| {
            let created = request.operation == Operation::Create;
            Verdict::Allowed(created.then(|| admission::unhandled_type(&operation)).into_iter().collect())
        }),
    }
}

/// The request may still have its older form: the API server goes on when the webhook that changes it
/// does not answer.
fn create(caches: &Caches, new: &PostgresOpsRequest) -> Verdict {
    if let (Some(update), Some(upgrade)) = (&new.spec.update_version, &new.spec.upgrade)
        && update != upgrade
    {
        return Verdict::Invalid(Cause {
            reason: "TwoTargets",
            message: format!("spec.upgrade: {TWO_TARGETS}"),
            field: "spec.upgrade".into(),
        });
    }
    match admission::decide(&caches.snapshot(new).facts(new)) {
        Ok(admitted) => {
            let older = new.has_older_form().then(|| OLDER_FORM.to_owned());
            Verdict::Allowed(older.into_iter().chain(admitted.warnings).collect())
        }
        Err(denial) => denial.into(),
    }
}

/// The request's type, where it is one that pgops does not execute, before and after the change.
fn other_operation(request: &Request<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        type_: String,
    }
    let objects = [&request.object, &request.old_object];
    let types = objects.map(|object| object.as_ref()?.peek::<Typed>().map(|spec| spec.type_));
    let ours = types.iter().flatten().any(|it| matches!(&**it, "UpdateVersion" | "Upgrade"));
    types.into_iter().flatten().next().filter(|_| !ours)
}
