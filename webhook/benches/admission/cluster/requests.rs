//! The requests; all stored ones are completed.

use serde_json::{Value, json};

use super::{
    CREATED, CURRENT, LAST_APPLIED, NAMESPACE, REQUESTS, condition, database_name, managed, texts, uid,
};

/// All requests.
pub fn requests() -> impl Iterator<Item = Value> {
    (0..REQUESTS).map(|number| {
        let mut request = applied_request(&database_name(number), CURRENT);
        let steps =
            ["Preflight", "PauseDatabase", "StopDatabase", "StartDatabase", "ResumeDatabase", "Successful"];
        request["status"] = json!({
            "phase": "Successful",
            "observedGeneration": 1,
            "from": "13.12",
            "outage": "3.1s",
            "conditions": steps.map(|step| condition(step, step, "done")),
        });
        request
    })
}

/// A new request after `kubectl apply` of a manifest that a pipeline has generated.
pub fn applied_request(database: &str, target: &str) -> Value {
    let name = format!("{database}-to-{}", target.replace('.', "-"));
    let labels = texts(&[
        ("app.kubernetes.io/component", "database"),
        ("app.kubernetes.io/instance", "orders-production"),
        ("app.kubernetes.io/managed-by", "kustomize"),
        ("app.kubernetes.io/part-of", "orders"),
        ("example.com/cost-centre", "4711"),
        ("example.com/team", "orders"),
    ]);
    let mut annotations = texts(&[
        ("example.com/approved-by", "grace@example.com"),
        ("example.com/commit", "3f9c21aa5d0e7b6c8a1f4e2d9b7c6a5f0e1d2c3b"),
        ("example.com/pipeline", "https://ci.example.com/orders/deploy/builds/18231"),
    ]);
    let spec = json!({
        "type": "UpdateVersion",
        "databaseRef": {"name": database},
        "updateVersion": {"targetVersion": target},
        "timeout": "30m",
        "apply": "IfReady",
        "maxRetries": 1,
    });
    let applied = json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "PostgresOpsRequest",
        "metadata": {"annotations": annotations, "labels": labels, "name": name, "namespace": NAMESPACE},
        "spec": spec,
    });
    annotations.insert(LAST_APPLIED.to_owned(), json!(applied.to_string() + "\n"));
    let user = json!({"metadata": {"labels": labels, "annotations": annotations}, "spec": spec});
    json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "PostgresOpsRequest",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": uid("request", &name),
            "generation": 1,
            "creationTimestamp": CREATED,
            "labels": labels,
            "annotations": annotations,
            "managedFields": [managed("kubectl-client-side-apply", &user)],
        },
        "spec": spec,
    })
}
