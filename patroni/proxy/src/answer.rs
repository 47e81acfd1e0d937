//! The proxy's own answers.

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::refusal::Refusal;

/// The content type of every response.
pub const JSON: &str = "application/json";

/// A refusal, as the API server itself would express it.
pub fn forbidden(refusal: &Refusal) -> Response<Bytes> {
    let message = format!("pgops-patroni-proxy refuses the request: {refusal}");
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "Forbidden",
        "code": StatusCode::FORBIDDEN.as_u16(),
    });
    let mut response = Response::new(Bytes::from(status.to_string()));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}
