//! The databases, of several versions; all are ready.

use serde_json::{Value, json};

use super::{
    CREATED, CURRENT, DATABASES, LAST_APPLIED, NAMESPACE, OLD_DATABASE, OLDEST, condition, managed, uid,
};

/// The versions of the databases, in rotation.
const IN_USE: [&str; 4] = ["14.12", "15.8", "17.5-bookworm", CURRENT];

/// Name of the database with that number; every fourth, such as 7, has the current version.
pub fn database_name(number: usize) -> String {
    format!("orders-{number:04}")
}

/// All databases; one of them has the oldest version.
pub fn databases() -> impl Iterator<Item = Value> {
    let versions = IN_USE.iter().cycle();
    let others = (0..DATABASES - 1).zip(versions).map(|(number, it)| database(&database_name(number), it));
    others.chain([database(OLD_DATABASE, OLDEST)])
}

/// A ready database.
pub fn database(name: &str, version: &str) -> Value {
    let labels = json!({"app.kubernetes.io/part-of": "orders", "team": "orders"});
    let spec = json!({
        "version": version,
        "replicas": 1,
        "storageType": "Durable",
        "storage": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "20Gi"}},
            "storageClassName": "fast",
        },
        "authSecret": {"name": format!("{name}-auth")},
        "clientAuthMode": "scram",
        "deletionPolicy": "Halt",
        "podTemplate": {"spec": {"containers": [{
            "name": "postgres",
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            "env": [{"name": "POSTGRES_INITDB_ARGS", "value": "--locale=en_US.UTF-8 --encoding=UTF8"}],
        }]}},
    });
    let status = json!({
        "phase": "Ready",
        "observedGeneration": 2,
        "conditions": [
            condition("ProvisioningStarted", "Started", "the objects of the database exist"),
            condition("ReplicaReady", "AllReplicasReady", "its pod is ready"),
            condition("AcceptingConnection", "Accepting", "the server answers"),
            condition("Ready", "ReadinessCheckSucceeded", "the database is ready"),
            condition("Provisioned", "Provisioned", "the database was provisioned"),
        ],
    });
    let applied = json!({
        "apiVersion": "kubedb.com/v1",
        "kind": "Postgres",
        "metadata": {"annotations": {}, "labels": labels, "name": name, "namespace": NAMESPACE},
        "spec": spec,
    });
    let annotations = json!({LAST_APPLIED: applied.to_string() + "\n"});
    let user = json!({"metadata": {"labels": labels, "annotations": annotations}, "spec": spec});
    json!({
        "apiVersion": "kubedb.com/v1",
        "kind": "Postgres",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": uid("database", name),
            "generation": 2,
            "resourceVersion": "98317",
            "creationTimestamp": CREATED,
            "finalizers": ["kubedb.com/postgres"],
            "labels": labels,
            "annotations": annotations,
            "managedFields": [
                managed("kubectl-client-side-apply", &user),
                managed("pgops-provisioner", &json!({"status": status})),
            ],
        },
        "spec": spec,
        "status": status,
    })
}
