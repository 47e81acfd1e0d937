//! Objects for tests.

use k8s_openapi::api::apps::v1::StatefulSet;
use pgops_api::{Postgres, PostgresVersion};
use serde_json::{Value, json};

use crate::children::{Children, Images, children};
use crate::design::design;

/// A typical database; `change` is merged into its spec.
pub fn database(change: Value) -> Postgres {
    let mut spec = json!({
        "version": "13.16",
        "storageType": "Durable",
        "storage": { "resources": { "requests": { "storage": "1Gi" } } },
    });
    let Value::Object(change) = change else { panic!("a change is an object") };
    spec.as_object_mut().unwrap().extend(change);
    serde_json::from_value(json!({
        "apiVersion": "kubedb.com/v1",
        "kind": "Postgres",
        "metadata": { "name": "orders", "namespace": "demo", "uid": "5d1c", "generation": 1 },
        "spec": spec,
    }))
    .unwrap()
}

pub fn version(name: &str, version: &str, uid: Option<i64>) -> PostgresVersion {
    serde_json::from_value(json!({
        "apiVersion": "catalog.kubedb.com/v1alpha1",
        "kind": "PostgresVersion",
        "metadata": { "name": name },
        "spec": {
            "version": version,
            "db": { "image": format!("registry.example/postgres:{version}") },
            "securityContext": { "runAsUser": uid },
        },
    }))
    .unwrap()
}

/// The children of a new database.
pub fn built(database: &Postgres, version: &PostgresVersion) -> Children {
    let design = design(database, Some(version), None).unwrap();
    let images =
        Images { instance: "registry.example/instance:1".into(), pull_policy: "IfNotPresent".into() };
    children(database, &design, &images)
}

/// The workload of a typical [`database`] of a version.
pub fn workload(version: &PostgresVersion) -> StatefulSet {
    built(&database(json!({})), version).workload
}
