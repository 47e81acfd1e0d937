//! What an object leaves unsaid, and the older form of a request, as a JSON patch.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, Operation};
use pgops_api::admission::defaults;
use serde_json::{Value, json};

use super::verdict::{Verdict, is_subresource};

/// What the author of a request in the older form hears.
pub const OLDER_FORM: &str = "type Upgrade with upgrade.targetVersion is the older form of a PostgresOpsRequest, taken as \
    type UpdateVersion with updateVersion.targetVersion: change the manifest";

/// Puts a request into the form of today and adds defaults to new objects; refuses nothing, since the
/// validating side sees the result.
pub fn respond(request: &AdmissionRequest<DynamicObject>) -> AdmissionResponse {
    let modern = modernize(request);
    let warnings = modern.iter().map(|_| OLDER_FORM.to_owned()).collect();
    let patch: Vec<_> = modern.into_iter().flatten().chain(missing(request)).collect();
    let response = Verdict::Allowed(warnings).into_response(request);
    if patch.is_empty() {
        return response;
    }
    match response.clone().with_patch(Patch(patch)) {
        Ok(patched) => patched,
        Err(error) => {
            tracing::error!(uid = request.uid, %error, "the object was left as it is");
            response
        }
    }
}

fn missing(request: &AdmissionRequest<DynamicObject>) -> Vec<PatchOperation> {
    let new = request
        .object
        .as_ref()
        .filter(|_| request.operation == Operation::Create && !is_subresource(request));
    let defaults = match (new, request.kind.group.as_str(), request.kind.kind.as_str()) {
        (Some(object), "ops.kubedb.com", "PostgresOpsRequest") => defaults::of_request(&object.data),
        (Some(object), "kubedb.com", "Postgres") => defaults::of_postgres(&object.data),
        _ => Vec::new(),
    };
    defaults.into_iter().map(|default| set(default.path, default.value)).collect()
}

/// The changes that make `type: Upgrade` with `upgrade` into `type: UpdateVersion` with `updateVersion`;
/// none if the request has the form of today, or must not be touched.
///
/// On updates too: `kubectl apply` of the older manifest puts the older fields beside those that were made
/// of them, and without this it would be refused as a change of an immutable spec.
fn modernize(request: &AdmissionRequest<DynamicObject>) -> Option<Vec<PatchOperation>> {
    let of_requests = request.kind.group == "ops.kubedb.com" && request.kind.kind == "PostgresOpsRequest";
    let new = request.object.as_ref().filter(|_| of_requests && !is_subresource(request))?;
    let (new, old) = (&new.data["spec"], request.old_object.as_ref().map(|old| &old.data["spec"]));
    // What was stored in the older form, while no replica answered, stays so: its spec is immutable.
    if !is_older(new) || old.is_some_and(is_older) {
        return None;
    }
    let (upgrade, update) = (&new["upgrade"], &new["updateVersion"]);
    let as_stored = old.is_some_and(|old| old["updateVersion"] == *update);
    if !upgrade.is_null() && !update.is_null() && upgrade != update && !as_stored {
        // Two targets: which one is meant only the author knows.
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

/// Whether the type or the target of the upgrade stands under its older name.
pub fn is_older(spec: &Value) -> bool {
    spec["type"] == "Upgrade" || (spec["type"] == "UpdateVersion" && !spec["upgrade"].is_null())
}

/// Adds the field, or replaces it.
fn set(path: [&str; 2], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path), value })
}
