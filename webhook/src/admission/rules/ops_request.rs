//! Rules for `PostgresOpsRequest`s.

use pgops_api::PostgresOpsRequest;
use pgops_api::admission;
use pgops_api::opsrequest::{CONFLICTING_TARGETS, RequestType};
use pgops_api::spec_fields::request_field_findings;
use serde::Deserialize;
use serde_json::Value;

use super::defaults::DEPRECATED_FORM;
use super::problems::refuse;
use crate::admission::decision::{Cause, Decision};
use crate::admission::object::Object;
use crate::admission::operation::Operation;
use crate::admission::request::AdmissionRequest;
use crate::cache::{Caches, Current, Snapshot};

/// A new request must be admissible now. A stored one keeps its spec, and may always be deleted.
pub fn decide(caches: &Caches, request: &AdmissionRequest<'_>) -> Decision {
    decide_on(caches, request, |new| caches.snapshot(new))
}

/// The same, on a database and requests that are newer than those of the caches.
pub fn decide_again(caches: &Caches, request: &AdmissionRequest<'_>, current: Current) -> Decision {
    decide_on(caches, request, |new| caches.snapshot_of(new, current))
}

fn decide_on(
    caches: &Caches,
    request: &AdmissionRequest<'_>,
    snapshot: impl FnOnce(&PostgresOpsRequest) -> Snapshot,
) -> Decision {
    match Operation::<PostgresOpsRequest>::parse(request) {
        Ok(Operation::Create(new)) if caches.executes(new.spec.type_) => {
            create(&snapshot(&new), request, &new)
        }
        Ok(Operation::Create(new)) => {
            Decision::Allowed(vec![admission::unhandled_type(&new.spec.type_.to_string(), caches.executed())])
        }
        Ok(Operation::Update { new, old })
            if caches.executes(old.spec.type_) || caches.executes(new.spec.type_) =>
        {
            Decision::Invalid(Cause {
                reason: "Immutable",
                message: "spec is immutable: create a new PostgresOpsRequest instead".to_owned(),
                field: "spec".into(),
            })
        }
        Ok(_) => Decision::Allowed(Vec::new()),
        // Its schema may be newer than ours: KubeDB's API may have new types and fields.
        Err(unreadable) => other_operation(caches, request).map_or(unreadable, |operation| {
            let warning = || admission::unhandled_type(&operation, caches.executed());
            Decision::Allowed(request.is_create().then(warning).into_iter().collect())
        }),
    }
}

/// The request may still have the deprecated form: the API server continues if the mutating webhook does not
/// answer.
fn create(snapshot: &Snapshot, request: &AdmissionRequest<'_>, new: &PostgresOpsRequest) -> Decision {
    if let (Some(update), Some(upgrade)) = (&new.spec.update_version, &new.spec.upgrade)
        && new.updates_version()
        && update != upgrade
    {
        return Decision::Invalid(Cause {
            reason: "TwoTargets",
            message: format!("spec.upgrade: {CONFLICTING_TARGETS}"),
            field: "spec.upgrade".into(),
        });
    }
    match admission::decide(&snapshot.facts(new)) {
        Ok(admitted) => {
            let spec: Option<Value> = request.object.as_ref().and_then(Object::peek_spec);
            let fields = spec.as_ref().map(|spec| request_field_findings(new.spec.type_, spec));
            let fields = fields.unwrap_or_default();
            if let Err(denied) = refuse(fields.refused) {
                return denied;
            }
            let deprecated = new.uses_deprecated_form().then(|| DEPRECATED_FORM.to_owned());
            Decision::Allowed(
                deprecated.into_iter().chain(admitted.warnings).chain(fields.warnings).collect(),
            )
        }
        Err(denial) => denial.into(),
    }
}

/// The type of a request that pgops executes neither before nor after the change.
fn other_operation(caches: &Caches, request: &AdmissionRequest<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        type_: Value,
    }
    let objects = [&request.object, &request.old_object];
    let types = objects.map(|object| object.as_ref()?.peek_spec::<Typed>().map(|spec| spec.type_));
    let is_ours = |type_: &Value| RequestType::deserialize(type_).is_ok_and(|type_| caches.executes(type_));
    let ours = types.iter().flatten().any(is_ours);
    let first = types.iter().flatten().find_map(Value::as_str);
    first.filter(|_| !ours).map(ToOwned::to_owned)
}
