//! Objects for the tests: the database `demo/orders` on 13.16, and the request `orders-17`.

pub mod events;
pub mod jobs;
pub mod pods;
mod state_builder;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::Timestamp;
use pgops_api::matrix::Catalog;
use pgops_api::postgresversion::PostgresVersionSpec;
use pgops_api::{Postgres, PostgresOpsRequest};
use pgops_kube::{ImageArgs, PullPolicy};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::action::Action;
use super::decide::next_action;
use super::options::WorkerOptions;
use super::pod_metadata::PodMetadata;
use super::worker::Worker;
pub use state_builder::StateBuilder;

/// Uid of the request `orders-17`.
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

/// As the provisioner creates it.
pub fn workload() -> StatefulSet {
    parse(json!({
        "metadata": { "name": "orders", "namespace": "demo", "uid": "workload", "ownerReferences": [
            { "apiVersion": "kubedb.com/v1", "kind": "Postgres", "name": "orders", "uid": "db", "controller": true },
        ]},
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

/// The database's first pod.
pub fn server(node: &str, is_ready: bool) -> Pod {
    parse(json!({
        "metadata": { "name": "orders-0", "namespace": "demo", "uid": "server", "ownerReferences": [
            { "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "workload", "controller": true },
        ]},
        "spec": { "nodeName": node, "containers": [] },
        "status": { "phase": "Running", "conditions": [
            { "type": "Ready", "status": if is_ready { "True" } else { "False" } },
        ]},
    }))
}

/// The volume claim of the database's first pod.
pub fn claim() -> PersistentVolumeClaim {
    parse(json!({
        "metadata": { "name": "data-orders-0", "namespace": "demo", "finalizers": ["kubernetes.io/pvc-protection"] },
        "status": { "phase": "Bound" },
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

/// The worker that is launched for an upgrade of the database between these versions.
pub fn worker(from: &str, to: &str) -> Worker {
    let state = StateBuilder::new().database_version(from).status_from(from).target_version(to).claimed();
    match next_action(&state.build()) {
        Action::Launch(worker) => *worker,
        other => panic!("expected a launch, got {other:?}"),
    }
}

pub fn worker_options() -> WorkerOptions {
    WorkerOptions {
        runner_image: "registry/pgops-runner:1".into(),
        images: ImageArgs::default(),
        pull_policy: Some(PullPolicy::IfNotPresent),
        rehearsal_memory: "3Gi".parse().unwrap(),
        copy_resources: r#"{"limits":{"cpu":"1","memory":"512Mi"}}"#.parse().unwrap(),
        programs_resources: r#"{"requests":{"cpu":"100m","memory":"256Mi"}}"#.parse().unwrap(),
        runner_resources: r#"{"limits":{"cpu":"1","memory":"1Gi"}}"#.parse().unwrap(),
        metadata: PodMetadata::default(),
    }
}
