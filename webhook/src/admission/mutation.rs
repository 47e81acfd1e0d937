//! Defaults, as a JSON patch of what an object does not say.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, Operation};
use pgops_api::admission::defaults::{self, Default};

use super::verdict::{Verdict, is_subresource};

/// Adds defaults to new objects; refuses nothing, since the validating side sees the result.
pub fn respond(request: &AdmissionRequest<DynamicObject>) -> AdmissionResponse {
    let response = Verdict::Allowed(Vec::new()).into_response(request);
    let patch: Vec<_> = missing(request).into_iter().map(add).collect();
    if patch.is_empty() {
        return response;
    }
    match response.clone().with_patch(Patch(patch)) {
        Ok(patched) => patched,
        Err(error) => {
            tracing::error!(uid = request.uid, %error, "defaults were left out");
            response
        }
    }
}

fn missing(request: &AdmissionRequest<DynamicObject>) -> Vec<Default> {
    let new = request
        .object
        .as_ref()
        .filter(|_| request.operation == Operation::Create && !is_subresource(request));
    match (new, request.kind.group.as_str(), request.kind.kind.as_str()) {
        (Some(object), "ops.kubedb.com", "PostgresOpsRequest") => defaults::of_request(&object.data),
        (Some(object), "kubedb.com", "Postgres") => defaults::of_postgres(&object.data),
        _ => Vec::new(),
    }
}

fn add(default: Default) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(default.path), value: default.value })
}
