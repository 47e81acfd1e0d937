//! From an answer to the API server's `AdmissionResponse`.

use std::collections::HashMap;

use json_patch::{Patch, PatchOperation};
use kube::core::admission::AdmissionResponse;
use kube::core::response::{Status, StatusCause, StatusDetails};
use pgops_api::admission::shorten_warning;

use super::bounds::{MAX_MESSAGE, MAX_WARNINGS, shorten};
use super::decision::{Answer, Cause, Decision};
use super::request::AdmissionRequest;

/// Formats the answer so that kubectl prints its message: of a 403 it prints the whole message, of a 422 only
/// the causes. The API server's audit log records the reason under the name of this webhook.
pub fn admission_response(answer: Answer, request: &AdmissionRequest<'_>) -> AdmissionResponse {
    let Answer { decision, patch } = answer;
    let mut response = AdmissionResponse::invalid("");
    response.uid = request.uid.clone().into_owned();
    response.audit_annotations = HashMap::from([("reason".into(), decision.reason().into())]);
    let code = decision.code();
    let (status, cause) = match decision {
        Decision::Allowed(warnings) => return allow(response, &warnings, patch),
        Decision::Forbidden(cause) => ("Forbidden", cause),
        Decision::Invalid(cause) => ("Invalid", cause),
    };
    let Cause { reason, message, field } = cause;
    let message = shorten(&message, MAX_MESSAGE);
    // kubectl prints the field before the message of a cause.
    let after_field = message.strip_prefix(&*field).and_then(|rest| rest.strip_prefix(": "));
    let cause = StatusCause {
        reason: reason.to_owned(),
        message: after_field.unwrap_or(&message).to_owned(),
        field: field.into_owned(),
    };
    response.result = Status::failure(&message, status).with_code(code).with_details(StatusDetails {
        name: request.name.clone().into_owned(),
        group: request.kind.group.clone().into_owned(),
        kind: request.kind.kind.clone().into_owned(),
        uid: String::new(),
        causes: vec![cause],
        retry_after_seconds: 0,
    });
    response
}

fn allow(
    mut response: AdmissionResponse,
    warnings: &[String],
    patch: Vec<PatchOperation>,
) -> AdmissionResponse {
    response.allowed = true;
    response.result = Status { code: 200, ..Status::default() };
    response.warnings = (!warnings.is_empty())
        .then(|| warnings.iter().take(MAX_WARNINGS).map(|line| shorten_warning(line)).collect());
    if patch.is_empty() {
        return response;
    }
    match response.clone().with_patch(Patch(patch)) {
        Ok(patched) if patched.patch.as_ref().is_some_and(|patch| patch.len() > MAX_MESSAGE) => {
            tracing::warn!(uid = response.uid, "the patch is too large; leaving the object unchanged");
            response
        }
        Ok(patched) => patched,
        Err(error) => {
            tracing::error!(uid = response.uid, %error, "failed to serialise the patch; leaving the object unchanged");
            response
        }
    }
}
