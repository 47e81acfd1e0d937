//! A client that stops at each of its calls.

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use tokio::sync::{mpsc, oneshot};

/// A call that waits until the test answers it.
pub struct PendingRequest {
    pub(super) parts: http::request::Parts,
    pub(super) body: Vec<u8>,
    /// Sends the response to the client.
    pub answer: oneshot::Sender<Response<Body>>,
}

/// A client whose calls are sent to the test, which answers them.
#[must_use]
pub fn gated_client(namespace: &'static str, requests: mpsc::UnboundedSender<PendingRequest>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let requests = requests.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap().to_vec();
            let (answer, answered) = oneshot::channel();
            requests.send(PendingRequest { parts, body, answer }).unwrap();
            answered.await
        }
    });
    Client::new(service, namespace)
}
