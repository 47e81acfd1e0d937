//! What an object leaves unsaid, and the older form of a request, as a JSON patch.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, RemoveOperation};
use kube::core::admission::Operation;
use pgops_api::admission::defaults;
use pgops_api::opsrequest::{RequestType, is_deprecated_form};
use serde::Deserialize;
use serde_json::{Value, json};

use super::object::Object;
use super::review::Request;
use super::verdict::{Answer, Verdict};

/// What the author of a request in the older form hears.
pub const OLDER_FORM: &str = "type Upgrade with upgrade.targetVersion is the older form of a PostgresOpsRequest, taken as \
    type UpdateVersion with updateVersion.targetVersion: change the manifest";

/// Puts a request into the form of today and adds defaults to new objects; refuses nothing, since the
/// validating side sees the result.
pub fn complete(request: &Request<'_>) -> Answer {
    let spec = |object: &Option<Object<'_>>| object.as_ref().and_then(Object::peek::<Value>);
    let new = spec(&request.object).filter(|_| !request.is_about_a_part());
    let old = spec(&request.old_object);
    let modern = new.as_ref().and_then(|new| modernize(request, new, old.as_ref()));
    let warnings = modern.iter().map(|_| OLDER_FORM.to_owned()).collect();
    let missing = new.iter().flat_map(|new| missing(request, new));
    let patch = modern.into_iter().flatten().chain(missing).collect();
    Answer { verdict: Verdict::Allowed(warnings), patch }
}

fn missing(request: &Request<'_>, new: &Value) -> Vec<PatchOperation> {
    if request.operation != Operation::Create {
        return Vec::new();
    }
    let defaults = match (&*request.kind.group, &*request.kind.kind) {
        ("ops.kubedb.com", "PostgresOpsRequest") => defaults::request_defaults(new),
        ("kubedb.com", "Postgres") => defaults::postgres_defaults(new),
        _ => Vec::new(),
    };
    defaults.into_iter().map(|default| set(default.path, default.value)).collect()
}

/// The changes that make `type: Upgrade` with `upgrade` into `type: UpdateVersion` with `updateVersion`;
/// none if the request has the form of today, or must not be touched.
///
/// On updates too: `kubectl apply` of the older manifest puts the older fields beside those that were made
/// of them, and without this it would be refused as a change of an immutable spec.
fn modernize(request: &Request<'_>, new: &Value, old: Option<&Value>) -> Option<Vec<PatchOperation>> {
    let of_requests = request.kind.group == "ops.kubedb.com" && request.kind.kind == "PostgresOpsRequest";
    // What was stored in the older form, while no replica answered, stays so: its spec is immutable.
    if !of_requests || !is_older(new) || old.is_some_and(is_older) {
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

fn is_older(spec: &Value) -> bool {
    let type_ = RequestType::deserialize(&spec["type"]);
    type_.is_ok_and(|type_| is_deprecated_form(type_, !spec["upgrade"].is_null()))
}

/// Adds the field, or replaces it.
fn set(path: [&str; 2], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path), value })
}
