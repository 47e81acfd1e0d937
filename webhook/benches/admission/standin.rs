//! A stand-in for the API server: thousands of objects in lists that are paged, a few that are kept when
//! they are written, and watches on which nothing happens.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
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

use crate::cluster;

const SECRET: &str = "/api/v1/namespaces/pgops-system/secrets/pgops-webhook-ca";
const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/pgops";
const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pgops";

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
    /// Objects that the program writes, by their own path.
    kept: Mutex<BTreeMap<&'static str, Value>>,
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
        let lists = HashMap::from([
            ("/apis/catalog.kubedb.com/v1alpha1/postgresversions", json(&mut cluster::versions())),
            ("/apis/kubedb.com/v1/postgreses", json(&mut cluster::databases())),
            ("/apis/ops.kubedb.com/v1alpha1/postgresopsrequests", json(&mut cluster::requests())),
        ]);
        let secret = json!({"metadata": {"name": "pgops-webhook-ca", "namespace": "pgops-system"}});
        let kept = [(SECRET, secret), (VALIDATING, configuration()), (MUTATING, configuration())];
        let world = Arc::new(World { lists, kept: Mutex::new(kept.into()) });

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

    /// The authority that the program has written into its configuration.
    pub fn authority(&self) -> anyhow::Result<Vec<u8>> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let written = self.world.kept()[VALIDATING].pointer("/webhooks/0/clientConfig/caBundle").cloned();
            if let Some(bundle) = written {
                return Ok(serde_json::from_value::<ByteString>(bundle)?.0);
            }
            ensure!(Instant::now() < give_up, "the program has written no caBundle");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl World {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<&'static str, Value>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
    if wanted.watch {
        // Stays open, and says nothing.
        return json_of(Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>()));
    }
    if let Some(objects) = world.lists.get(uri.path()) {
        return list(objects, &wanted);
    }
    let mut kept = world.kept();
    let Some(object) = kept.get_mut(uri.path()) else {
        let within = |path: &str| path.rsplit_once('/').is_some_and(|(parent, _)| parent == uri.path());
        let objects: Vec<_> =
            kept.iter().filter(|it| within(it.0)).map(|(_, object)| object.to_string()).collect();
        return list(&objects, &wanted);
    };
    match write(object, &method, &body) {
        Ok(()) => json_of(object.to_string()),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}")).into_response(),
    }
}

/// A part of the list, of as many objects as the client wants at once.
fn list(objects: &[String], wanted: &Wanted) -> Response {
    let from = wanted.r#continue.unwrap_or(0).min(objects.len());
    let rest = &objects[from..];
    let page = &rest[..wanted.limit.unwrap_or(rest.len()).min(rest.len())];
    let sent = from + page.len();
    let token = if sent < objects.len() { sent.to_string() } else { String::new() };
    let metadata = json!({"resourceVersion": "100000", "continue": token});
    json_of(format!(r#"{{"metadata":{metadata},"items":[{}]}}"#, page.join(",")))
}

/// Replaces an object, or merges the bundles into it that a patch brings.
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

fn json_of(body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}
