//! An in-memory API server for tests: one Secret and two webhook configurations. A write conditioned on a
//! `resourceVersion` fails with a conflict unless that is the stored one.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request, Response, StatusCode};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

pub(crate) const SECRET: &str = "pgops-webhook-ca";
pub(crate) const CONFIGURATION: &str = "pgops-webhook";

#[derive(Clone)]
pub(crate) struct FakeApiServer(Arc<Mutex<Stored>>);

struct Stored {
    version: u64,
    secret: Value,
    /// The validating and the mutating configuration.
    configurations: [Value; 2],
}

/// A request that waits until the test answers it.
pub(crate) struct PendingRequest {
    pub method: Method,
    path: String,
    body: Vec<u8>,
    pub answer: oneshot::Sender<Response<Body>>,
}

impl FakeApiServer {
    pub(crate) fn new() -> Self {
        let configuration = |hooks: &[&str]| {
            let hook = |name: &&str| json!({ "name": name, "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": [] });
            json!({
                "metadata": { "name": CONFIGURATION, "resourceVersion": "1" },
                "webhooks": hooks.iter().map(hook).collect::<Vec<_>>(),
            })
        };
        Self(Arc::new(Mutex::new(Stored {
            version: 1,
            secret: json!({ "metadata": { "name": SECRET, "resourceVersion": "1" } }),
            configurations: [configuration(&["a", "b"]), configuration(&["c"])],
        })))
    }

    /// A client whose requests are answered at once; each yields first, so that concurrent ones interleave.
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                tokio::task::yield_now().await;
                let body = body.collect_bytes().await.unwrap();
                Ok::<_, Infallible>(server.answer(&parts.method, parts.uri.path(), &body))
            }
        });
        Client::new(service, "pgops-system")
    }

    /// A client whose requests are sent to the test, which answers them.
    pub(crate) fn gated_client(requests: mpsc::UnboundedSender<PendingRequest>) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let requests = requests.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap().to_vec();
                let (answer, answered) = oneshot::channel();
                let path = parts.uri.path().to_owned();
                requests.send(PendingRequest { method: parts.method, path, body, answer }).unwrap();
                answered.await
            }
        });
        Client::new(service, "pgops-system")
    }

    /// Performs the request; the caller sends the response.
    pub(crate) fn perform(&self, request: &PendingRequest) -> Response<Body> {
        self.answer(&request.method, &request.path, &request.body)
    }

    /// The `caBundle` of the validating and of the mutating configuration, which all their webhooks share.
    pub(crate) fn ca_bundles(&self) -> [Vec<u8>; 2] {
        let stored = self.lock();
        [0, 1].map(|kind| {
            let bundle = |hook: &Value| {
                let text = hook["clientConfig"]["caBundle"].clone();
                let bytes: Option<ByteString> = serde_json::from_value(text).unwrap();
                bytes.map(|bytes| bytes.0).unwrap_or_default()
            };
            let hooks = stored.configurations[kind]["webhooks"].as_array().unwrap();
            let bundles: Vec<_> = hooks.iter().map(bundle).collect();
            assert!(
                bundles.windows(2).all(|pair| pair[0] == pair[1]),
                "webhooks of one configuration differ"
            );
            bundles[0].clone()
        })
    }

    /// Changes the Secret as another client does.
    pub(crate) fn change_secret(&self, change: impl FnOnce(&mut Secret)) {
        let mut stored = self.lock();
        let mut secret = serde_json::from_value(stored.secret.clone()).unwrap();
        change(&mut secret);
        stored.secret = serde_json::to_value(secret).unwrap();
        let version = stored.next();
        stored.secret["metadata"]["resourceVersion"] = version;
    }

    pub(crate) fn secret(&self) -> Secret {
        serde_json::from_value(self.lock().secret.clone()).unwrap()
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Response<Body> {
        let mut stored = self.lock();
        let next = stored.next();
        let target = match path {
            path if path.contains("/secrets/") => &mut stored.secret,
            path if path.contains("/validatingwebhookconfigurations/") => &mut stored.configurations[0],
            _ => &mut stored.configurations[1],
        };
        let sent: Value =
            if *method == Method::GET { Value::Null } else { serde_json::from_slice(body).unwrap() };
        let expected = &sent["metadata"]["resourceVersion"];
        let is_current = expected.is_null() || *expected == target["metadata"]["resourceVersion"];
        match *method {
            Method::GET => {}
            _ if !is_current => {
                return respond(StatusCode::CONFLICT, &json!({ "status": "Failure", "code": 409 }));
            }
            Method::PUT => *target = sent,
            _ => {
                for patch in sent["webhooks"].as_array().unwrap() {
                    let hooks = target["webhooks"].as_array_mut().unwrap();
                    let hook = hooks.iter_mut().find(|hook| hook["name"] == patch["name"]).unwrap();
                    hook["clientConfig"]["caBundle"] = patch["clientConfig"]["caBundle"].clone();
                }
            }
        }
        if *method != Method::GET {
            target["metadata"]["resourceVersion"] = next;
        }
        respond(StatusCode::OK, target)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    fn next(&mut self) -> Value {
        self.version += 1;
        json!(self.version.to_string())
    }
}

pub(crate) fn respond(status: StatusCode, body: &Value) -> Response<Body> {
    Response::builder().status(status).body(Body::from(serde_json::to_vec(body).unwrap())).unwrap()
}
