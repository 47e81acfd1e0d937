//! Objects for tests.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::runtime::events::Reporter;
use pgops_api::{Postgres, PostgresVersion, names};
use pgops_kube::ImageArgs;
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::{Value, json};

use crate::children::{Children, Images, children, labels};
use crate::claims::ExistingData;
use crate::context::Context;
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
    built_with(database, version, None)
}

/// The children of a new database with standbys.
pub fn built_with_standbys(database: &Postgres, version: &PostgresVersion) -> Children {
    built_with(database, version, Some("registry.example/patroni:1"))
}

fn built_with(database: &Postgres, version: &PostgresVersion, patroni: Option<&str>) -> Children {
    let design = design(database, Some(version), None, &ExistingData::default(), patroni).unwrap();
    children(database, &design, &images())
}

/// The images of every database.
pub fn images() -> Images {
    Images {
        instance: "registry.example/instance:1".into(),
        pull_policy: "IfNotPresent".into(),
        args: ImageArgs::default(),
        patroni: None,
        install_resources: r#"{"limits":{"cpu":"500m","memory":"128Mi"}}"#.parse().unwrap(),
    }
}

/// A reconciliation's context, with this API server.
pub fn context(server: &FakeApiServer) -> Context {
    Context::new(server.client(), Reporter { controller: "provisioner".into(), instance: None }, images())
}

/// The workload of a typical [`database`] of a version.
pub fn workload(version: &PostgresVersion) -> StatefulSet {
    built(&database(json!({})), version).workload
}

/// A claim with the labels of [`database`]; its own StatefulSet has set the annotation.
pub fn claim(name: &str, is_annotated: bool) -> PersistentVolumeClaim {
    let mut claim = PersistentVolumeClaim::default();
    claim.metadata.name = Some(name.to_owned());
    claim.metadata.namespace = Some("demo".to_owned());
    claim.metadata.labels = Some(labels("orders"));
    let annotation = (names::ANNOTATION_DATABASE_UID.to_owned(), "of-a-halted-one".to_owned());
    claim.metadata.annotations = is_annotated.then(|| [annotation].into());
    claim
}

/// Stores the claim and the Secret that a pod of the workload cannot start without.
pub fn put_what_pods_require(server: &FakeApiServer) {
    server.put(&claim(&names::claim("orders", 0), true));
    let auth = json!({
        "metadata": { "name": "orders-auth", "namespace": "demo" }, "data": { "username": "", "password": "" },
    });
    server.put(&serde_json::from_value::<Secret>(auth).unwrap());
}
