//! Admission: a review comes in, a verdict goes out. Reads the caches, and touches nothing.

mod caches;
mod databases;
mod mutation;
mod requests;
mod review;
mod verdict;
mod versions;

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse};

pub use caches::Caches;

/// The API server sends object and old object, of up to 3 MB each, and what is around them.
const BODY_LIMIT: usize = 7 * 1024 * 1024;

/// The routes `POST /validate` and `POST /mutate`.
pub fn router(caches: Arc<Caches>) -> Router {
    Router::new()
        .route("/validate", post(validate))
        .route("/mutate", post(mutate))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(caches)
}

async fn validate(State(caches): State<Arc<Caches>>, body: Result<Bytes, BytesRejection>) -> Response {
    respond(body, |request| verdict::judge(&caches, request).into_response(request))
}

async fn mutate(body: Result<Bytes, BytesRejection>) -> Response {
    respond(body, mutation::respond)
}

/// 200 for whatever is a review, since any other status is an outage to the API server.
fn respond(
    body: Result<Bytes, BytesRejection>,
    answer: impl FnOnce(&AdmissionRequest<DynamicObject>) -> AdmissionResponse,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            tracing::warn!(%error, "a review could not be received");
            return (error.status(), format!("failed to receive the review: {error}\n")).into_response();
        }
    };
    match review::answer(&body, answer) {
        Ok(review) => Json(review).into_response(),
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, bytes = body.len(), "a body is no review");
            let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            (StatusCode::BAD_REQUEST, format!("{error}{source}\n")).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
