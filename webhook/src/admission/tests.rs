//! Reviews over HTTP, as the API server sends them, with filled caches.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use kube::runtime::watcher::Event;
use pgops_api::topology::StandbySupport;
use pgops_api::{ExecutedRequests, ManagedDatabases};
use pgops_testing::fake_api_server::FakeApiServer;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::body_limits::BODY_LIMIT;
use super::router;
use crate::cache::{Caches, Prune, StoreWriter};
use crate::metrics::Metrics;

mod audit;
mod bounds;
mod disclosure;
mod envelope;
mod fields;
mod gitops;
mod managed;
mod ops_request;
mod passing_denial;
mod postgres;
mod postgres_version;
mod protection;
mod worker_write;

/// The objects of a cluster.
#[derive(Default)]
struct Cluster {
    databases: Vec<Value>,
    requests: Vec<Value>,
    versions: Vec<Value>,
    /// The API server, which may know more than the caches.
    api_server: Option<FakeApiServer>,
    managed: ManagedDatabases,
    executed: ExecutedRequests,
    standbys: StandbySupport,
}

impl Cluster {
    /// demo/orders on 13.16, and a catalog like the chart's.
    fn new() -> Self {
        let versions = [
            ("13.16", ">= 13.16, < 18"),
            ("13.23", ">= 13.23, < 18"),
            ("15.20", ">= 15.20, < 19"),
            ("17.11", ">= 17.11, < 19"),
            ("17.12", ">= 17.12, < 19"),
            ("18.6", ">= 18.6, < 19"),
        ];
        let mut versions: Vec<_> = versions.map(|(name, allow)| version(name, allow)).into();
        versions.push(with(version("17.12-alpine", "< 19"), "/spec/db/baseOS", json!("alpine")));
        versions[6]["spec"]["version"] = json!("17.12");
        versions.push(with(version("15.20-gis", "< 19"), "/spec/distribution", json!("PostGIS")));
        versions[7]["spec"]["version"] = json!("15.20");
        versions.push(with(version("broken", "< 19"), "/spec/version", json!("thirteen")));
        Self { databases: vec![database("orders")], versions, ..Self::default() }
    }

    fn router(&self) -> axum::Router {
        let (caches, mut writers) = Caches::new();
        fill(&mut writers.databases, &self.databases);
        fill(&mut writers.requests, &self.requests);
        fill(&mut writers.versions, &self.versions);
        let client = self.api_server.as_ref().map(FakeApiServer::client);
        let caches = caches.managing(self.managed).executing(self.executed).supporting(self.standbys);
        router(Arc::new(caches), Metrics::default(), client)
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> (StatusCode, String) {
        let request =
            Request::post(path).header("content-type", "application/json").body(body.into()).unwrap();
        let response = self.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The response to a review; checks the fields that every response has.
    async fn review(&self, path: &str, request: Value) -> Value {
        let review =
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        let (status, body) = self.post(path, review.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let mut review: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(review["kind"], "AdmissionReview");
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(review["response"]["uid"], "review-1");
        review["response"].take()
    }

    /// The object that is stored after the mutating webhook has changed it, and the warnings.
    async fn stored(&self, request: Value) -> (Value, Vec<String>) {
        let mut object = request["object"].clone();
        let response = self.review("/mutate", request).await;
        if let Ok(bytes) = serde_json::from_value::<Vec<u8>>(response["patch"].clone()) {
            json_patch::patch(&mut object, &serde_json::from_slice::<json_patch::Patch>(&bytes).unwrap())
                .unwrap();
        }
        let warnings = response["warnings"].as_array().cloned().unwrap_or_default();
        (object, warnings.iter().map(|line| line.as_str().unwrap().to_owned()).collect())
    }

    async fn validate(&self, request: Value) -> Value {
        self.review("/validate", request).await
    }

    /// The essence of what kubectl prints: code, reason and field of the cause, and the message.
    async fn denial(&self, request: Value) -> String {
        let response = self.validate(request).await;
        assert_eq!(response["allowed"], false, "{response}");
        let status = &response["status"];
        let cause = &status["details"]["causes"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let reason = text(&cause["reason"]);
        let field = text(&cause["field"]);
        let message = text(&status["message"]);
        format!("{} {} {reason} {field}\n{message}", status["code"], text(&status["reason"]))
    }

    async fn warnings(&self, request: Value) -> Vec<String> {
        let response = self.validate(request).await;
        assert_eq!(response["allowed"], true, "{response}");
        let warnings = response["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }
}

fn fill<K: Prune + DeserializeOwned>(writer: &mut StoreWriter<K>, objects: &[Value]) {
    for object in objects {
        writer.apply(Event::Apply(serde_json::from_value(object.clone()).unwrap()));
    }
}

fn with(mut object: Value, path: &str, value: Value) -> Value {
    let (parent, key) = path.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

fn without(mut object: Value, path: &str) -> Value {
    let (parent, key) = path.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    object
}

fn version(name: &str, allow: &str) -> Value {
    json!({
        "apiVersion": "catalog.kubedb.com/v1alpha1",
        "kind": "PostgresVersion",
        "metadata": {"name": name},
        "spec": {
            "version": name,
            "distribution": "Official",
            "db": {"image": format!("registry.example/postgres:{name}"), "baseOS": "debian"},
            "updateConstraints": {"allowlist": [allow]},
        },
    })
}

fn database(name: &str) -> Value {
    json!({
        "apiVersion": "kubedb.com/v1",
        "kind": "Postgres",
        "metadata": {"name": name, "namespace": "demo", "uid": format!("uid-of-{name}")},
        "spec": {
            "version": "13.16",
            "storageType": "Durable",
            "storage": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
        "status": {"phase": "Ready"},
    })
}

fn opsrequest(target: &str) -> Value {
    json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "PostgresOpsRequest",
        "metadata": {"name": "orders-up", "namespace": "demo", "uid": "uid-of-orders-up"},
        "spec": {
            "type": "UpdateVersion",
            "databaseRef": {"name": "orders"},
            "updateVersion": {"targetVersion": target},
        },
    })
}

/// A request under review, with the new and the old object.
fn review(operation: &str, new: Option<&Value>, old: Option<&Value>) -> Value {
    let any = new.or(old).unwrap();
    let api_version = any["apiVersion"].as_str().unwrap();
    // The core group has no name.
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = any["kind"].as_str().unwrap();
    json!({
        "uid": "review-1",
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": kind.to_lowercase()},
        "name": any["metadata"]["name"],
        "namespace": any["metadata"]["namespace"],
        "operation": operation,
        "userInfo": {"username": "ada"},
        "object": new,
        "oldObject": old,
        "dryRun": false,
    })
}

fn create(object: &Value) -> Value {
    review("CREATE", Some(object), None)
}
