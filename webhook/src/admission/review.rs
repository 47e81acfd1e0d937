//! The envelope: from bytes to a request, and from an answer to a review.

use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use serde::Deserialize;

/// A body to which no answer can be given.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not the JSON of a review.
    #[error("failed to read an AdmissionReview of admission.k8s.io/v1")]
    NoReview(#[source] serde_json::Error),
    /// A review that asks nothing.
    #[error("failed to read the AdmissionReview: it has no request")]
    NoRequest,
}

/// The least of a review that an answer can be assigned to.
#[derive(Deserialize)]
struct Envelope {
    request: EnvelopeRequest,
}

#[derive(Deserialize)]
struct EnvelopeRequest {
    uid: String,
}

/// Answers the review in the body. A request that cannot be read is refused under its own uid.
pub fn answer(
    body: &[u8],
    answer: impl FnOnce(&AdmissionRequest<DynamicObject>) -> AdmissionResponse,
) -> Result<AdmissionReview<DynamicObject>, Malformed> {
    let review = match serde_json::from_slice::<AdmissionReview<DynamicObject>>(body) {
        Ok(review) => review,
        Err(error) => return refuse_unreadable(body, error),
    };
    let request: AdmissionRequest<DynamicObject> = review.try_into().map_err(|_| Malformed::NoRequest)?;
    let response = answer(&request);
    log(&request, &response);
    Ok(response.into_review())
}

fn refuse_unreadable(
    body: &[u8],
    error: serde_json::Error,
) -> Result<AdmissionReview<DynamicObject>, Malformed> {
    let Ok(Envelope { request }) = serde_json::from_slice(body) else {
        return Err(Malformed::NoReview(error));
    };
    tracing::warn!(uid = request.uid, %error, "a review could not be read, and was refused");
    let mut response =
        AdmissionResponse::invalid(format!("failed to read the request under review: {error}"));
    response.uid = request.uid;
    Ok(response.into_review())
}

/// One line a review: what was asked by whom, and what became of it.
fn log(request: &AdmissionRequest<DynamicObject>, response: &AdmissionResponse) {
    let metadata = request.object.as_ref().map(|object| &object.metadata);
    // A create with generateName has no name yet.
    let name = Some(request.name.as_str())
        .filter(|name| !name.is_empty())
        .or(metadata.and_then(|metadata| metadata.name.as_deref().or(metadata.generate_name.as_deref())));
    tracing::info!(
        uid = request.uid,
        kind = request.kind.kind,
        name,
        namespace = request.namespace,
        operation = ?request.operation,
        user = request.user_info.username,
        dry_run = request.dry_run,
        allowed = response.allowed,
        code = response.result.code,
        reason = reason(response),
        message = response.result.message,
        warnings = response.warnings.as_ref().map_or(0, Vec::len),
        patched = response.patch.is_some(),
        "reviewed"
    );
}

/// The most telling word: the first cause's, else the status's.
fn reason(response: &AdmissionResponse) -> &str {
    let cause = response.result.details.as_ref().and_then(|details| details.causes.first());
    cause.map_or(&response.result.reason, |cause| &cause.reason)
}
