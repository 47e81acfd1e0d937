//! Limits on the bodies of reviews: their size, the time to receive them, and how many large ones are
//! received at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Maximum size of a review in bytes: the API server sends object and old object, of up to 3 MB each, and the
/// envelope.
pub const BODY_LIMIT: usize = 7 * 1024 * 1024;
/// Bodies of up to this many bytes, as nearly all are, are never queued.
const SMALL_BODY: usize = 64 * 1024;
/// Maximum number of larger bodies in memory at once. Further ones wait: otherwise a few clients could
/// exhaust the memory of the pod.
const MAX_LARGE_BODIES: usize = 8;
/// Maximum number of those from one address: a client that sends slowly must not keep the API server waiting.
const MAX_LARGE_BODIES_OF_PEER: usize = 2;
/// Maximum time to receive a small body, and to wait for a permit; longer than the API server waits for a response.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time to receive a body with a permit: shorter than the API server waits for a response, so that one of its
/// reviews is answered even after others that never arrive.
const LARGE_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads bodies within the limits.
pub struct BodyReader {
    large: Arc<Semaphore>,
    /// Those of each address from which large bodies are received.
    peers: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// The right to receive a large body.
#[derive(Debug)]
struct Permit {
    _any: OwnedSemaphorePermit,
    _of_peer: OwnedSemaphorePermit,
}

/// A body, with the permit for the memory it uses.
#[derive(Debug)]
pub struct Body {
    bytes: Bytes,
    _permit: Option<Permit>,
}

/// A body that could not be read within the limits.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is too large, or the connection was lost.
    #[error("failed to receive the review: {0}")]
    Body(#[from] BytesRejection),
    /// It was not received in time.
    #[error("failed to receive the review: it did not arrive within {} s", .0.as_secs())]
    Slow(Duration),
    /// No permit became available in time.
    #[error("failed to receive the review: too many large reviews at once")]
    Busy,
}

impl Default for BodyReader {
    fn default() -> Self {
        Self { large: Arc::new(Semaphore::new(MAX_LARGE_BODIES)), peers: Mutex::default() }
    }
}

impl BodyReader {
    /// The layer that rejects bodies above the maximum size.
    pub fn limit() -> DefaultBodyLimit {
        DefaultBodyLimit::max(BODY_LIMIT)
    }

    /// Reads the whole body of a request from that address.
    pub async fn read(&self, peer: IpAddr, request: Request) -> Result<Body, BodyError> {
        // A body without a declared length may have any.
        let is_small = request.body().size_hint().upper().is_some_and(|length| length <= SMALL_BODY as u64);
        let (permit, limit) = if is_small {
            (None, BODY_TIMEOUT)
        } else {
            let permit = timeout(BODY_TIMEOUT, self.permit(peer)).await;
            (Some(permit.ok().and_then(Result::ok).ok_or(BodyError::Busy)?), LARGE_BODY_TIMEOUT)
        };
        let bytes = timeout(limit, Bytes::from_request(request, &())).await;
        Ok(Body { bytes: bytes.map_err(|_| BodyError::Slow(limit))??, _permit: permit })
    }

    /// Waits in the queue of the address first: a client that sends many large bodies waits for its own.
    async fn permit(&self, peer: IpAddr) -> Result<Permit, AcquireError> {
        let of_peer = self.of_peer(peer).acquire_owned().await?;
        Ok(Permit { _any: self.large.clone().acquire_owned().await?, _of_peer: of_peer })
    }

    fn of_peer(&self, peer: IpAddr) -> Arc<Semaphore> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        // Without permits it is as good as a new one.
        peers.retain(|_, permits| permits.strong_count() > 0);
        if let Some(permits) = peers.get(&peer).and_then(Weak::upgrade) {
            return permits;
        }
        let permits = Arc::new(Semaphore::new(MAX_LARGE_BODIES_OF_PEER));
        peers.insert(peer, Arc::downgrade(&permits));
        permits
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Body(rejection) => rejection.status(),
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{self}\n")).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body as RequestBody;
    use std::net::Ipv4Addr;

    const SLOW: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const API_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    /// A body of any length that never ends.
    fn endless() -> Request {
        let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        Request::new(RequestBody::from_stream(never))
    }

    #[tokio::test(start_paused = true)]
    async fn large_body_is_received_while_another_client_sends_slowly() {
        let bodies = Arc::new(BodyReader::default());
        let slow: Vec<_> = (0..100)
            .map(|_| {
                let bodies = bodies.clone();
                tokio::spawn(async move { bodies.read(SLOW, endless()).await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        let large = Request::new(RequestBody::from(vec![b'x'; 2 * SMALL_BODY]));
        let received = timeout(Duration::from_millis(100), bodies.read(API_SERVER, large)).await;
        assert_eq!(received.unwrap().unwrap().len(), 2 * SMALL_BODY);
        for reading in slow {
            assert!(matches!(reading.await.unwrap(), Err(BodyError::Slow(_) | BodyError::Busy)));
        }
        assert_eq!(bodies.large.available_permits(), MAX_LARGE_BODIES);
    }

    #[tokio::test(start_paused = true)]
    async fn large_body_must_arrive_before_the_api_server_gives_up() {
        let bodies = BodyReader::default();
        let started = tokio::time::Instant::now();
        assert!(matches!(bodies.read(SLOW, endless()).await, Err(BodyError::Slow(_))));
        assert_eq!(started.elapsed(), LARGE_BODY_TIMEOUT);
    }
}
