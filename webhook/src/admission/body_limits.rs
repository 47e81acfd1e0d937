//! Limits on the bodies of reviews: their size, the time to receive them, and how many large ones are
//! received at once.

use std::ops::Deref;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Maximum size of a review in bytes: the API server sends object and old object, of up to 3 MB each, and the
/// envelope.
pub const BODY_LIMIT: usize = 7 * 1024 * 1024;
/// Bodies of up to this many bytes, as nearly all are, are never queued.
const SMALL_BODY: usize = 64 * 1024;
/// Maximum number of larger bodies in memory at once. Further ones wait: otherwise a few clients could
/// exhaust the memory of the pod.
const MAX_LARGE_BODIES: usize = 8;
/// Maximum time to receive a body; longer than the API server waits for a response.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads bodies within the limits.
pub struct BodyReader {
    large: Semaphore,
}

/// A body, with the permit for the memory it uses.
#[derive(Debug)]
pub struct Body<'a> {
    bytes: Bytes,
    _permit: Option<SemaphorePermit<'a>>,
}

/// A body that could not be read within the limits.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is too large, or the connection was lost.
    #[error("failed to receive the review: {0}")]
    Body(#[from] BytesRejection),
    /// It was not received in time.
    #[error("failed to receive the review: it did not arrive within {} s", BODY_TIMEOUT.as_secs())]
    Slow,
    /// No permit became available in time.
    #[error("failed to receive the review: too many large reviews at once")]
    Busy,
}

impl Default for BodyReader {
    fn default() -> Self {
        Self { large: Semaphore::new(MAX_LARGE_BODIES) }
    }
}

impl BodyReader {
    /// The layer that rejects bodies above the maximum size.
    pub fn limit() -> DefaultBodyLimit {
        DefaultBodyLimit::max(BODY_LIMIT)
    }

    /// Reads the whole body.
    pub async fn read(&self, request: Request) -> Result<Body<'_>, BodyError> {
        // A body without a declared length may have any.
        let is_small = request.body().size_hint().upper().is_some_and(|length| length <= SMALL_BODY as u64);
        let permit = if is_small {
            None
        } else {
            let permit = timeout(BODY_TIMEOUT, self.large.acquire()).await;
            Some(permit.ok().and_then(Result::ok).ok_or(BodyError::Busy)?)
        };
        let bytes = timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await;
        Ok(Body { bytes: bytes.map_err(|_| BodyError::Slow)??, _permit: permit })
    }
}

impl Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Body(rejection) => rejection.status(),
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{self}\n")).into_response()
    }
}
