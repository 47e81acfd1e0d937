//! How the bodies of reviews are taken in: none too large, none for too long, not too many at once.

use std::ops::Deref;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Bytes of a review: the API server sends object and old object, of up to 3 MB each, and what is around
/// them.
pub const BODY_LIMIT: usize = 7 * 1024 * 1024;
/// Bytes up to which a review is always taken in, as nearly all are.
const SMALL: usize = 64 * 1024;
/// How many larger ones are in memory at the same time. Further ones wait: without this a few clients could
/// use up the memory of the pod.
const LARGE_AT_ONCE: usize = 8;
/// A client that sends a body for longer than this is cut off. The API server waits for no answer as long.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes in bodies.
pub struct Intake {
    large: Semaphore,
}

/// A body, and the room that it takes.
#[derive(Debug)]
pub struct Body<'a> {
    bytes: Bytes,
    _room: Option<SemaphorePermit<'a>>,
}

/// Why a body was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is too large, or the connection broke.
    #[error("failed to receive the review: {0}")]
    Body(#[from] BytesRejection),
    /// It did not arrive in time.
    #[error("failed to receive the review: it did not arrive within {} s", BODY_TIMEOUT.as_secs())]
    Slow,
    /// No room came free in time.
    #[error("failed to receive the review: too many large ones arrive at once")]
    Busy,
}

impl Default for Intake {
    fn default() -> Self {
        Self { large: Semaphore::new(LARGE_AT_ONCE) }
    }
}

impl Intake {
    /// The layer that ends bodies which are longer than they may be.
    pub fn limit() -> DefaultBodyLimit {
        DefaultBodyLimit::max(BODY_LIMIT)
    }

    /// The whole body.
    pub async fn read(&self, request: Request) -> Result<Body<'_>, Refused> {
        // One that does not say its length may be of any.
        let is_small = request.body().size_hint().upper().is_some_and(|length| length <= SMALL as u64);
        let room = if is_small {
            None
        } else {
            let room = timeout(BODY_TIMEOUT, self.large.acquire()).await;
            Some(room.ok().and_then(Result::ok).ok_or(Refused::Busy)?)
        };
        let bytes = timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await;
        Ok(Body { bytes: bytes.map_err(|_| Refused::Slow)??, _room: room })
    }
}

impl Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Body(rejection) => rejection.status(),
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{self}\n")).into_response()
    }
}
