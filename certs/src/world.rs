//! An API server in memory, for tests: one Secret and two webhook configurations, and writes that are
//! refused when they name another version than the one that is stored.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use k8s_openapi::api::core::v1::Secret;
use kube::client::Body;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::bundle::Bundle;
use crate::clock::Clock;
use crate::configurations::Configurations;
use crate::own::{Own, State};
use crate::secret::Store;
use crate::{Certificates, Names, Settings};

pub(crate) const SECRET: &str = "pgops-webhook-ca";
pub(crate) const CONFIGURATION: &str = "pgops-webhook";
pub(crate) const CALLED: &str = "pgops-webhook.pgops-system.svc";

/// Short lives, so that little time makes many generations.
pub(crate) fn settings() -> Settings {
    Settings::new(Duration::from_hours(24), Duration::from_hours(3), Duration::from_mins(10)).unwrap()
}

pub(crate) fn names() -> Names {
    Names {
        namespace: "pgops-system".into(),
        service: "pgops-webhook".into(),
        configuration: CONFIGURATION.into(),
    }
}

#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Stored>>);

struct Stored {
    version: u64,
    secret: Value,
    /// The validating and the mutating one.
    configurations: [Value; 2],
}

/// A request that waits to be answered by whoever decides on the order of things.
pub(crate) struct Asked {
    pub method: Method,
    path: String,
    body: Vec<u8>,
    pub answer: oneshot::Sender<Response<Body>>,
}

impl World {
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

    /// A client whose requests are answered at once, each after others had their turn.
    pub(crate) fn client(&self) -> Client {
        let world = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let world = world.clone();
            async move {
                let (parts, body) = request.into_parts();
                tokio::task::yield_now().await;
                let body = body.collect_bytes().await.unwrap();
                Ok::<_, Infallible>(world.answer(&parts.method, parts.uri.path(), &body))
            }
        });
        Client::new(service, "pgops-system")
    }

    /// A client whose requests are handed over to be answered.
    pub(crate) fn gated(asked: mpsc::UnboundedSender<Asked>) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let asked = asked.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap().to_vec();
                let (answer, answered) = oneshot::channel();
                let path = parts.uri.path().to_owned();
                asked.send(Asked { method: parts.method, path, body, answer }).unwrap();
                answered.await
            }
        });
        Client::new(service, "pgops-system")
    }

    pub(crate) fn store(&self) -> Store {
        Store { secrets: Api::default_namespaced(self.client()), name: SECRET.into() }
    }

    /// What the request does, without its answer.
    pub(crate) fn perform(&self, asked: &Asked) -> Response<Body> {
        self.answer(&asked.method, &asked.path, &asked.body)
    }

    /// What each webhook of both configurations trusts: those of the validating one, then the other's.
    pub(crate) fn trusted(&self) -> [Bundle; 2] {
        let stored = self.lock();
        [0, 1].map(|kind| {
            let bundle = |hook: &Value| {
                let text = hook["clientConfig"]["caBundle"].clone();
                let bytes: Option<k8s_openapi::ByteString> = serde_json::from_value(text).unwrap();
                Bundle::read(&bytes.map(|bytes| bytes.0).unwrap_or_default())
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

    /// Somebody else changes the Secret.
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
        let named = &sent["metadata"]["resourceVersion"];
        let stands = named.is_null() || *named == target["metadata"]["resourceVersion"];
        match *method {
            Method::GET => {}
            _ if !stands => {
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

/// A replica with an authority of our own, of whom nobody has heard yet.
pub(crate) fn own(client: &Client, clock: Clock, settings: Settings) -> Own {
    Own {
        store: Store { secrets: Api::namespaced(client.clone(), "pgops-system"), name: SECRET.into() },
        configurations: Configurations::new(client, CONFIGURATION),
        dns: names().dns(),
        settings,
        clock,
        certificates: Certificates::default(),
        state: State::new(),
    }
}
