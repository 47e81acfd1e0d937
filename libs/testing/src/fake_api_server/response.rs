//! Responses of the API server.

use http::{Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};

/// A failure with this status code, and nothing else.
#[must_use]
pub fn failure(status: StatusCode) -> Response<Body> {
    response(status, &json!({ "status": "Failure", "code": status.as_u16() }))
}

/// Status code and body of a refused call.
pub(super) fn refused(status: StatusCode, reason: &str) -> (StatusCode, Value) {
    (status, json!({ "status": "Failure", "reason": reason, "message": reason, "code": status.as_u16() }))
}

pub(super) fn response(status: StatusCode, body: &Value) -> Response<Body> {
    Response::builder().status(status).body(Body::from(serde_json::to_vec(body).unwrap())).unwrap()
}
