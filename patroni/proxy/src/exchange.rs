//! One request after the other of a client's connection: decided, passed on, and answered.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response};
use tokio::sync::Mutex;
use tokio::time::{error::Elapsed, timeout};

use crate::answer::{JSON, forbidden};
use crate::call::Call;
use crate::database::Database;
use crate::decision::{self, decide};
use crate::events::Events;
use crate::log::Log;
use crate::reduction::{self, Reduction};
use crate::refusal::Refusal;
use crate::upstream::{ApiServer, Upstream, UpstreamError};

/// The largest body of a request. The annotations of an object have 256 KiB at most, and JSON in JSON has twice the size.
pub const MAX_REQUEST: usize = 512 * 1024;
/// The largest list or object of the API server.
const MAX_RESPONSE: usize = 4 * 1024 * 1024;
/// From the head of a request to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(4);
/// For a call other than a watch. Longer than any limit of Patroni (2 s with `retry_timeout: 4`), which decides: this only
/// ends what a client without a limit has begun.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What all connections share.
pub struct Proxy {
    /// Whose objects are passed on.
    pub database: Arc<Database>,
    /// Where they are.
    pub server: Arc<ApiServer>,
    /// What happens.
    pub log: Log,
}

/// A connection of the client.
pub struct Exchange {
    proxy: Arc<Proxy>,
    // HTTP/1.1 has one request at a time, so it never waits.
    upstream: Mutex<Upstream>,
}

/// The body of a response.
pub type ResponseBody = Either<Full<Bytes>, Events>;

/// There is no response, and the client's connection ends: Patroni then does what it does if the API server ends one. With an
/// error as a response it would do something else, such as to stop the server of a leader at once.
#[derive(Debug, thiserror::Error)]
pub enum NoResponse {
    /// The client.
    #[error("failed to receive the body of a request")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API server.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The connection to the API server ended within a response, or the response is too large.
    #[error("failed to receive a response")]
    Response(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Neither the client nor the API server has ended the call.
    #[error("no response within {} s", CALL_TIMEOUT.as_secs())]
    Timeout(#[from] Elapsed),
    /// The response is not what was requested.
    #[error("failed to read a response")]
    Unreadable(#[from] serde_json::Error),
}

impl Exchange {
    /// A new connection.
    pub fn new(proxy: Arc<Proxy>) -> Self {
        let upstream = Mutex::new(Upstream::new(proxy.server.clone()));
        Self { proxy, upstream }
    }

    /// Responds to a request.
    pub async fn respond(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, NoResponse> {
        let (head, body) = request.into_parts();
        let target = head.uri.to_string();
        let decided = match receive(body).await? {
            None => Err(Refusal::BodySize(MAX_REQUEST)),
            Some(body) => {
                let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                let method = &head.method;
                let request = decision::Request { method, target: &target, content_type, body: &body };
                decide(&self.proxy.database, request)
            }
        };
        match decided {
            Ok(call) => self.pass_on(&call).await,
            Err(refusal) => {
                self.proxy.log.refused(&refusal, &head.method, &target);
                Ok(forbidden(&refusal).map(|body| Either::Left(Full::from(body))))
            }
        }
    }

    async fn pass_on(&self, call: &Call) -> Result<Response<ResponseBody>, NoResponse> {
        let unanswered = Unanswered::new(&self.proxy.log);
        let response = match call {
            Call::Watch(..) => self.send(call).await,
            _ => match timeout(CALL_TIMEOUT, self.send(call)).await {
                Ok(response) => response,
                // Logged by `unanswered`.
                Err(elapsed) => return Err(elapsed.into()),
            },
        };
        unanswered.end();
        match &response {
            Ok(_) => self.proxy.log.responded(),
            Err(NoResponse::Upstream(error)) => self.proxy.log.failed(error),
            Err(NoResponse::Unreadable(error)) => self.proxy.log.unreadable(error),
            Err(error) => tracing::debug!(%error, "no response"),
        }
        response
    }

    async fn send(&self, call: &Call) -> Result<Response<ResponseBody>, NoResponse> {
        let database = &self.proxy.database;
        let response = self.upstream.lock().await.send(&call.outgoing(database)?).await?;
        let (mut head, body) = response.into_parts();
        let retry_after = head.headers.remove(RETRY_AFTER);
        let content_type = head.headers.remove(CONTENT_TYPE);
        let is_success = head.status.is_success();

        let body = match call {
            Call::Watch(resource, _) if is_success => {
                Either::Right(Events::new(body, database.clone(), *resource))
            }
            _ => {
                let body = Limited::new(body, MAX_RESPONSE).collect().await.map_err(NoResponse::Response)?;
                let body = body.to_bytes();
                // Why it failed has nothing of an object.
                Either::Left(Full::from(if is_success {
                    reduce(call, database, &body)?.into()
                } else {
                    body
                }))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        let content_type = content_type.filter(|_| !is_success);
        let content_type = content_type.unwrap_or(HeaderValue::from_static(JSON));
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        if let Some(value) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, value);
        }
        Ok(response)
    }
}

/// What the client gets of the object, or the list, that it has requested.
fn reduce(call: &Call, database: &Database, body: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    match (call, call.resource()) {
        (_, None) => reduction::postgres(body),
        (Call::List(_), Some(resource)) => Reduction::new(database, resource).list(body),
        (_, Some(resource)) => Reduction::new(database, resource).object(body),
    }
}

/// The body of a request; none if it is too large.
async fn receive(body: Incoming) -> Result<Option<Bytes>, NoResponse> {
    let received = timeout(BODY_TIMEOUT, Limited::new(body, MAX_REQUEST).collect()).await;
    match received.map_err(|elapsed| NoResponse::Request(elapsed.into()))? {
        Ok(body) => Ok(Some(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        Err(error) => Err(NoResponse::Request(error)),
    }
}

/// A call without a response yet. If it is dropped, the client has given it up: nothing else would tell of an API server that
/// hangs.
struct Unanswered<'a>(Option<&'a Log>);

impl<'a> Unanswered<'a> {
    fn new(log: &'a Log) -> Self {
        Self(Some(log))
    }

    fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(log) = self.0 {
            log.given_up();
        }
    }
}
