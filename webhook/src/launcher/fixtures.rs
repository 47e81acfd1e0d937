//! A small world for the tests: `demo/orders` on 13.16, and the request `orders-17`.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use pgops_api::matrix::Catalog;
use pgops_api::names::ANNOTATION_CLAIM;
use pgops_api::postgresversion::PostgresVersionSpec;
use pgops_api::{Postgres, PostgresOpsRequest};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::claim::Claim;
use super::next::{Action, next};
use super::worker::Worker;
use super::world::World;

pub const UID: &str = "3f9c21aa-1111-2222-3333-444455556666";

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub fn parse<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Pending, acknowledged, created at second 100.
pub fn request(name: &str) -> PostgresOpsRequest {
    parse(json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "PostgresOpsRequest",
        "metadata": {
            "name": name, "namespace": "demo", "uid": UID, "generation": 1, "resourceVersion": "7",
            "creationTimestamp": "1970-01-01T00:01:40Z",
        },
        "spec": {
            "type": "UpdateVersion", "databaseRef": { "name": "orders" },
            "updateVersion": { "targetVersion": "17.11" },
        },
        "status": { "phase": "Pending", "from": "13.16", "observedGeneration": 1 },
    }))
}

pub fn database() -> Postgres {
    parse(json!({
        "apiVersion": "kubedb.com/v1",
        "kind": "Postgres",
        "metadata": { "name": "orders", "namespace": "demo", "uid": "db" },
        "spec": { "version": "13.16", "storageType": "Durable" },
        "status": { "phase": "Ready" },
    }))
}

/// As the provisioner makes it.
pub fn workload() -> StatefulSet {
    parse(json!({
        "metadata": { "name": "orders", "namespace": "demo" },
        "spec": {
            "serviceName": "orders-pods",
            "selector": {},
            "template": { "spec": {
                "securityContext": { "runAsUser": 70, "runAsGroup": 71, "fsGroup": 72 },
                "nodeSelector": { "disk": "fast" },
                "tolerations": [{ "key": "db", "operator": "Exists" }],
                "imagePullSecrets": [{ "name": "pull" }],
                "containers": [{ "name": "postgres", "image": "registry/postgres:13.16-patched" }],
            }},
        },
    }))
}

pub fn job(status: impl Into<Value>) -> Job {
    parse(json!({
        "metadata": {
            "name": "orders-17-3f9c21aa", "namespace": "demo", "resourceVersion": "9",
            "creationTimestamp": "1970-01-01T00:10:00Z",
        },
        "spec": { "template": {} },
        "status": status.into(),
    }))
}

/// A pod of the worker, created at that second.
pub fn pod(created: i64, status: impl Into<Value>) -> Pod {
    parse(json!({
        "metadata": {
            "name": "orders-17-3f9c21aa-x", "namespace": "demo",
            "creationTimestamp": at(created).to_string(),
        },
        "status": status.into(),
    }))
}

pub fn catalog() -> Catalog {
    let entry = |version: &str| -> PostgresVersionSpec {
        parse(
            json!({ "version": version, "db": { "image": format!("postgres:{version}"), "baseOS": "debian" } }),
        )
    };
    let names = ["13.16", "13.23", "17.11"];
    let entries: Vec<_> = names.iter().map(|name| (*name, entry(name))).collect();
    Catalog::new(entries.iter().map(|(name, spec)| (*name, spec)))
}

/// Nothing stands in the way, and nothing has been done, at second 1000.
pub fn world() -> World {
    World {
        request: request("orders-17"),
        others: Vec::new(),
        phases: HashMap::new(),
        job: None,
        pods: Vec::new(),
        other_jobs: Vec::new(),
        other_pods: Vec::new(),
        database: Some(database()),
        workload: Some(workload()),
        node: Some("node-1".to_owned()),
        catalog: Arc::new(catalog()),
        now: at(1000),
    }
}

/// The request of that uid holds the database, and that Job may work.
pub fn claim(world: &mut World, uid: &str, job: Option<&str>) {
    let claim = Claim { request: "any".to_owned(), uid: uid.to_owned(), job: job.map(Into::into) };
    let annotation = (ANNOTATION_CLAIM.to_owned(), serde_json::to_string(&claim).unwrap());
    world.database.as_mut().unwrap().metadata.annotations = Some([annotation].into());
}

/// The worker that is launched for an upgrade of the world's database.
pub fn worker(from: &str, to: &str) -> Worker {
    let mut world = world();
    world.database.as_mut().unwrap().spec.version = from.to_owned();
    world.request.status.as_mut().unwrap().from = Some(from.to_owned());
    world.request.spec.update_version.as_mut().unwrap().target_version = to.to_owned();
    claim(&mut world, UID, None);
    match next(&world) {
        Action::Launch(worker) => *worker,
        other => panic!("expected a launch, got {other:?}"),
    }
}
