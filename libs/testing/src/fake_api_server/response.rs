//! Responses of the API server.

use http::{Response, StatusCode};
use kube::client::Body;
use serde_json::json;

/// A failure with this status code, and nothing else.
#[must_use]
pub fn failure(status: StatusCode) -> Response<Body> {
    response(status, json!({ "status": "Failure", "code": status.as_u16() }).to_string())
}

/// Status code and body.
pub(super) type Answer = (StatusCode, String);

/// The answer to a refused call.
pub(super) fn refused(status: StatusCode, reason: &str) -> Answer {
    refused_with(status, reason, reason)
}

/// The answer to a call that a test refuses with these words: by a policy, unless they say as validation does that the object is
/// invalid.
pub(super) fn refused_by_test(words: &str) -> Answer {
    if words.contains(" is invalid: ") {
        refused_with(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", words)
    } else {
        refused_with(StatusCode::FORBIDDEN, "Forbidden", words)
    }
}

/// The answer to a call that is refused with these words.
fn refused_with(status: StatusCode, reason: &str, words: &str) -> Answer {
    let body = json!({ "status": "Failure", "reason": reason, "message": words, "code": status.as_u16() });
    (status, body.to_string())
}

pub(super) fn response(status: StatusCode, body: String) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.into_bytes())).unwrap()
}
