//! Defaults, and the conversion of the deprecated form of a request, as a JSON patch.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, RemoveOperation};
use pgops_api::admission::defaults;
use pgops_api::opsrequest::{RequestType, is_deprecated_form};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admission::decision::{Answer, Decision};
use crate::admission::object::Object;
use crate::admission::request::{AdmissionRequest, ReviewedKind};

/// The warning for a request in the deprecated form.
pub const DEPRECATED_FORM: &str = "type Upgrade with upgrade.targetVersion is deprecated and treated as type UpdateVersion with \
     updateVersion.targetVersion: update the manifest";

/// Converts a request to the current form and adds defaults to new objects.
pub fn mutate(request: &AdmissionRequest<'_>) -> Answer {
    let spec = |object: &Option<Object<'_>>| object.as_ref().and_then(Object::peek_spec::<Value>);
    let new = spec(&request.object);
    let old = spec(&request.old_object);
    let conversion = new.as_ref().and_then(|new| convert_deprecated(request, new, old.as_ref()));
    let warnings = conversion.iter().map(|_| DEPRECATED_FORM.to_owned()).collect();
    let defaults = new.iter().flat_map(|new| missing_defaults(request, new));
    let patch = conversion.into_iter().flatten().chain(defaults).collect();
    Answer { decision: Decision::Allowed(warnings), patch }
}

fn missing_defaults(request: &AdmissionRequest<'_>, new: &Value) -> Vec<PatchOperation> {
    if !request.is_create() {
        return Vec::new();
    }
    let defaults = match request.kind.reviewed() {
        Some(ReviewedKind::OpsRequest) => defaults::request_defaults(new),
        Some(ReviewedKind::Postgres) => defaults::postgres_defaults(new),
        Some(ReviewedKind::PostgresVersion | ReviewedKind::Namespace | ReviewedKind::VolumeClaim) | None => {
            Vec::new()
        }
    };
    defaults.into_iter().map(|default| set(default.path, default.value)).collect()
}

/// The changes that convert `type: Upgrade` with `upgrade` to `type: UpdateVersion` with `updateVersion`;
/// none if the request has the current form, or must not be changed.
///
/// On updates too: `kubectl apply` of the deprecated manifest adds the deprecated fields next to the
/// converted ones, and would otherwise be denied as a change of an immutable spec.
fn convert_deprecated(
    request: &AdmissionRequest<'_>,
    new: &Value,
    old: Option<&Value>,
) -> Option<Vec<PatchOperation>> {
    let is_ops_request = request.kind.reviewed() == Some(ReviewedKind::OpsRequest);
    // A request that was stored in the deprecated form, while no replica answered, keeps it: its spec is
    // immutable.
    if !is_ops_request || !is_deprecated(new) || old.is_some_and(is_deprecated) {
        return None;
    }
    let upgrade = &new["upgrade"];
    let update = &new["updateVersion"];
    let as_stored = old.is_some_and(|old| old["updateVersion"] == *update);
    if !upgrade.is_null() && !update.is_null() && upgrade != update && !as_stored {
        // Two targets: only the author knows which one is meant.
        return None;
    }
    let mut changes = vec![set(["spec", "type"], json!("UpdateVersion"))];
    if !upgrade.is_null() {
        changes.push(set(["spec", "updateVersion"], upgrade.clone()));
    }
    if new.get("upgrade").is_some() {
        let path = PointerBuf::from_tokens(["spec", "upgrade"]);
        changes.push(PatchOperation::Remove(RemoveOperation { path }));
    }
    Some(changes)
}

fn is_deprecated(spec: &Value) -> bool {
    let type_ = RequestType::deserialize(&spec["type"]);
    type_.is_ok_and(|type_| is_deprecated_form(type_, !spec["upgrade"].is_null()))
}

/// Sets the field, whether it exists or not.
pub(super) fn set<const DEPTH: usize>(path: [&str; DEPTH], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path), value })
}
