//! The envelope: from the bytes of an `AdmissionReview` to its request, and from an answer back to a review.

use kube::core::DynamicObject;
use kube::core::admission::{AdmissionResponse, AdmissionReview as Review};
use serde::Deserialize;

use super::audit::AuditEntry;
use super::bounds::{MAX_ERROR, MAX_IDENTIFIER, shorten};
use super::decision::Answer;
use super::outcome::Outcome;
use super::request::AdmissionRequest;
use super::response::admission_response;

/// A body that cannot be answered with a review.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not the JSON of an `AdmissionReview`.
    #[error("failed to read an AdmissionReview of admission.k8s.io/v1")]
    NotAReview(#[source] serde_json::Error),
    /// A review without a request.
    #[error("failed to read the AdmissionReview: it has no request")]
    NoRequest,
    /// A review that no API server sends.
    #[error("failed to read the AdmissionReview: request.{0} is longer than {MAX_IDENTIFIER} bytes")]
    Oversized(&'static str),
}

/// The review that the API server sends.
#[derive(Deserialize)]
struct AdmissionReview<'a> {
    #[serde(borrow)]
    request: Option<AdmissionRequest<'a>>,
}

/// The part of a review without which it cannot be answered.
#[derive(Deserialize)]
struct Envelope {
    request: EnvelopeRequest,
}

#[derive(Deserialize)]
struct EnvelopeRequest {
    uid: String,
}

/// A review that was answered.
pub struct Answered {
    /// The body of the response.
    pub review: Review<DynamicObject>,
    /// The outcome, for metrics.
    pub outcome: Outcome,
    /// Its line in the audit log; none for a review that could not be read, which was logged already.
    pub(super) audit: Option<AuditEntry>,
}

/// Answers the review in the body. A request that cannot be read is denied under its own uid.
pub fn answer(
    body: &[u8],
    decide: impl FnOnce(&AdmissionRequest<'_>) -> Answer,
) -> Result<Answered, Malformed> {
    let review = match serde_json::from_slice::<AdmissionReview<'_>>(body) {
        Ok(review) => review,
        Err(error) => return deny_unreadable(body, error),
    };
    let request = review.request.ok_or(Malformed::NoRequest)?;
    if let Some(field) = request.oversized_identifier() {
        return Err(Malformed::Oversized(field));
    }
    let answer = decide(&request);
    let outcome = Outcome::of(&answer.decision, &request);
    let audit = AuditEntry::new(&request, &answer);
    let review = admission_response(answer, &request).into_review();
    Ok(Answered { review, outcome, audit: Some(audit) })
}

fn deny_unreadable(body: &[u8], error: serde_json::Error) -> Result<Answered, Malformed> {
    let error = shortened(error);
    let Ok(Envelope { request }) = serde_json::from_slice(body) else {
        return Err(Malformed::NotAReview(error));
    };
    if request.uid.len() > MAX_IDENTIFIER {
        return Err(Malformed::Oversized("uid"));
    }
    tracing::warn!(uid = request.uid, %error, "denied a review that could not be read");
    let mut response =
        AdmissionResponse::invalid(format!("failed to read the request under review: {error}"));
    response.uid = request.uid;
    Ok(Answered { review: response.into_review(), outcome: Outcome::UNREADABLE, audit: None })
}

/// The error, without most of a long text that it repeats.
fn shortened(error: serde_json::Error) -> serde_json::Error {
    let text = error.to_string();
    if text.len() <= MAX_ERROR { error } else { serde::de::Error::custom(shorten(&text, MAX_ERROR)) }
}
