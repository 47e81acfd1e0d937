//! A fake API server: paged lists of thousands of objects, a few objects that can be written, and watches
//! without events.
//!
//! The one of `pgops-testing` answers calls inside the test's process. This one serves the real program over a socket,
//! with pages and watches, from JSON that is made once, so that the benchmark does not measure its own server.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use tokio::net::TcpListener;

use crate::cluster;

const SECRET: &str = "/api/v1/namespaces/pgops-system/secrets/pgops-webhook-ca";
const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/pgops";
const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pgops";

/// Maximum time until the program has written the caBundle.
const CA_BUNDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The fake API server, which serves until it is dropped.
pub struct FakeApiServer {
    /// Address of its plain HTTP listener.
    pub address: SocketAddr,
    cluster: Arc<Cluster>,
    /// Owns the server's threads.
    _runtime: tokio::runtime::Runtime,
}

struct Cluster {
    /// Objects by the path of their collection, as JSON.
    lists: HashMap<&'static str, Vec<String>>,
    /// Objects that the program writes, by their own path.
    writable: Mutex<BTreeMap<&'static str, Value>>,
}

/// The query parameters of a list or watch.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ListQuery {
    watch: bool,
    limit: Option<usize>,
    /// The number of objects sent so far.
    r#continue: Option<usize>,
}

impl FakeApiServer {
    /// Starts serving the objects of the benchmark's cluster.
    pub fn start() -> anyhow::Result<Self> {
        let json = |objects: &mut dyn Iterator<Item = Value>| objects.map(|it| it.to_string()).collect();
        let lists = HashMap::from([
            ("/apis/catalog.kubedb.com/v1alpha1/postgresversions", json(&mut cluster::versions())),
            ("/apis/kubedb.com/v1/postgreses", json(&mut cluster::databases())),
            ("/apis/ops.kubedb.com/v1alpha1/postgresopsrequests", json(&mut cluster::requests())),
        ]);
        let secret = json!({"metadata": {"name": "pgops-webhook-ca", "namespace": "pgops-system"}});
        let writable = [(SECRET, secret), (VALIDATING, configuration()), (MUTATING, configuration())];
        let cluster = Arc::new(Cluster { lists, writable: Mutex::new(writable.into()) });

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(respond).with_state(cluster.clone());
        runtime.spawn(axum::serve(listener, router).into_future());
        Ok(Self { address, cluster, _runtime: runtime })
    }

    /// The CA bundle that the program has written into its webhook configuration.
    pub fn authority(&self) -> anyhow::Result<Vec<u8>> {
        let deadline = Instant::now() + CA_BUNDLE_TIMEOUT;
        loop {
            let written =
                self.cluster.writable()[VALIDATING].pointer("/webhooks/0/clientConfig/caBundle").cloned();
            if let Some(bundle) = written {
                return Ok(serde_json::from_value::<ByteString>(bundle)?.0);
            }
            ensure!(Instant::now() < deadline, "the program has not written a caBundle");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Cluster {
    fn writable(&self) -> MutexGuard<'_, BTreeMap<&'static str, Value>> {
        self.writable.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn respond(
    State(cluster): State<Arc<Cluster>>,
    method: Method,
    uri: Uri,
    Query(query): Query<ListQuery>,
    body: Bytes,
) -> Response {
    if query.watch {
        // Stays open without an event.
        return json_response(Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>()));
    }
    if let Some(objects) = cluster.lists.get(uri.path()) {
        return list(objects, &query);
    }
    let mut writable = cluster.writable();
    let Some(object) = writable.get_mut(uri.path()) else {
        let within = |path: &str| path.rsplit_once('/').is_some_and(|(parent, _)| parent == uri.path());
        let objects: Vec<_> =
            writable.iter().filter(|it| within(it.0)).map(|(_, object)| object.to_string()).collect();
        return list(&objects, &query);
    };
    match write(object, &method, &body) {
        Ok(()) => json_response(object.to_string()),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}")).into_response(),
    }
}

/// A page of the list, with the number of objects that the client requests.
fn list(objects: &[String], query: &ListQuery) -> Response {
    let from = query.r#continue.unwrap_or(0).min(objects.len());
    let rest = &objects[from..];
    let page = &rest[..query.limit.unwrap_or(rest.len()).min(rest.len())];
    let sent = from + page.len();
    let token = if sent < objects.len() { sent.to_string() } else { String::new() };
    let metadata = json!({"resourceVersion": "100000", "continue": token});
    json_response(format!(r#"{{"metadata":{metadata},"items":[{}]}}"#, page.join(",")))
}

/// Replaces an object, or merges the CA bundle of a patch into it.
fn write(object: &mut Value, method: &Method, body: &[u8]) -> anyhow::Result<()> {
    match *method {
        Method::PUT => *object = serde_json::from_slice(body)?,
        Method::PATCH => {
            let patch: Value = serde_json::from_slice(body)?;
            let bundle = patch.pointer("/webhooks/0/clientConfig/caBundle").context("no caBundle")?;
            let client = object.pointer_mut("/webhooks/0/clientConfig").context("no webhook")?;
            client["caBundle"] = bundle.clone();
        }
        _ => {}
    }
    Ok(())
}

fn json_response(body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}
