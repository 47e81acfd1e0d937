//! A stand-in for the API server: lists that are paged, watches on which nothing happens, the Secret
//! of the authority, and the webhook configurations, whose caBundle it hands to the benchmark.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use k8s_openapi::ByteString;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster;

/// Time in which the program must have written the caBundle.
const PATIENCE: Duration = Duration::from_secs(10);

/// The stand-in, which serves until it is dropped.
pub struct StandIn {
    /// Where it listens, by plain HTTP.
    pub address: SocketAddr,
    world: Arc<World>,
    /// Its threads end with it.
    _runtime: tokio::runtime::Runtime,
}

struct World {
    /// Objects by the path of their collection, as JSON.
    lists: HashMap<&'static str, Vec<String>>,
    secret: Mutex<Value>,
    authority: Mutex<Option<Vec<u8>>>,
}

/// What a client asks of a collection.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    watch: bool,
    limit: Option<usize>,
    /// Here simply the number of objects that were sent.
    r#continue: Option<usize>,
}

impl StandIn {
    /// Serves a cluster full of objects.
    pub fn start() -> anyhow::Result<Self> {
        let json = |objects: &mut dyn Iterator<Item = Value>| objects.map(|it| it.to_string()).collect();
        let configuration = || json(&mut [configuration()].into_iter());
        let lists = HashMap::from([
            ("/apis/catalog.kubedb.com/v1alpha1/postgresversions", json(&mut cluster::versions())),
            ("/apis/kubedb.com/v1/postgreses", json(&mut cluster::databases())),
            ("/apis/ops.kubedb.com/v1alpha1/postgresopsrequests", json(&mut cluster::requests())),
            ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", configuration()),
            ("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", configuration()),
        ]);
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "pgops-webhook-ca", "namespace": "pgops-system", "resourceVersion": "1"},
        });
        let world = Arc::new(World { lists, secret: secret.into(), authority: Mutex::default() });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(answer).with_state(world.clone());
        let within_runtime = runtime.enter();
        let server = axum_server::from_tcp(listener)?;
        drop(within_runtime);
        runtime.spawn(server.serve(router.into_make_service()));
        Ok(Self { address, world, _runtime: runtime })
    }

    /// The authority that the program has written into a configuration.
    pub fn authority(&self) -> anyhow::Result<Vec<u8>> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let authority = self.world.authority.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(authority) = authority {
                return Ok(authority);
            }
            ensure!(Instant::now() < give_up, "the program has written no caBundle");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn configuration() -> Value {
    json!({
        "metadata": {"name": "pgops", "resourceVersion": "1"},
        "webhooks": [{
            "name": "pgops.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {"service": {"name": "pgops-webhook", "namespace": "pgops-system"}},
        }],
    })
}

async fn answer(
    State(world): State<Arc<World>>,
    method: Method,
    uri: Uri,
    Query(wanted): Query<Wanted>,
    body: Bytes,
) -> Response {
    let (collection, name) = uri.path().rsplit_once('/').unwrap_or_default();
    if let Some(objects) = world.lists.get(uri.path()) {
        return if wanted.watch { watch() } else { list(objects, &wanted) };
    }
    match (method, world.lists.get(collection), name) {
        (Method::GET, None, "pgops-webhook-ca") => {
            json_of(&*world.secret.lock().unwrap_or_else(PoisonError::into_inner))
        }
        (Method::PUT, None, "pgops-webhook-ca") => match serde_json::from_slice::<Value>(&body) {
            Ok(secret) => {
                world.secret.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&secret);
                json_of(&secret)
            }
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        },
        (Method::GET, Some(objects), _) => json_of(&objects[0]),
        (Method::PATCH, Some(objects), _) => match bundle(&body) {
            Ok(authority) => {
                *world.authority.lock().unwrap_or_else(PoisonError::into_inner) = Some(authority);
                json_of(&objects[0])
            }
            Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}")).into_response(),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A part of the list, of as many objects as the client wants at once.
fn list(objects: &[String], wanted: &Wanted) -> Response {
    let from = wanted.r#continue.unwrap_or(0).min(objects.len());
    let rest = &objects[from..];
    let page = &rest[..wanted.limit.unwrap_or(rest.len()).min(rest.len())];
    let sent = from + page.len();
    let token = if sent < objects.len() { sent.to_string() } else { String::new() };
    json_of(&format!(
        r#"{{"metadata":{{"resourceVersion":"100000","continue":"{token}"}},"items":[{}]}}"#,
        page.join(",")
    ))
}

/// Stays open, and says nothing.
fn watch() -> Response {
    json_of_body(Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>()))
}

fn bundle(patch: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut patch: Value = serde_json::from_slice(patch)?;
    let bundle =
        patch.pointer_mut("/webhooks/0/clientConfig/caBundle").context("a patch without caBundle")?;
    Ok(serde_json::from_value::<ByteString>(bundle.take())?.0)
}

fn json_of(value: &impl ToString) -> Response {
    json_of_body(value.to_string().into())
}

fn json_of_body(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
