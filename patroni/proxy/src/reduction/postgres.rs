//! What the instance gets of its `Postgres`: what it is, and whether the database was initialised before.

use std::collections::BTreeMap;

use pgops_api::names::ANNOTATION_INITIALIZED;
use pgops_api::postgres::CONDITION_PROVISIONED;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Database {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Serialize)]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_type: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Value>,
}

/// The `Postgres`, without settings, templates of pods and names of Secrets.
pub fn postgres(json: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut database: Database = serde_json::from_slice(json)?;
    database.metadata.annotations.retain(|key, _| key == ANNOTATION_INITIALIZED);
    database.status.conditions.retain(|condition| condition["type"] == CONDITION_PROVISIONED);
    serde_json::to_vec(&database)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::Postgres;
    use pgops_api::postgres::StorageType;
    use serde_json::json;

    fn object(annotations: &Value, status: &Value) -> Value {
        let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z" });
        let conditions = status.as_array().unwrap().iter().map(|kind| condition(kind.as_str().unwrap()));
        json!({
            "apiVersion": "kubedb.com/v1",
            "kind": "Postgres",
            "metadata": {
                "name": "orders", "namespace": "demo", "uid": "u", "resourceVersion": "7", "annotations": annotations,
            },
            "spec": {
                "version": "17.2", "storageType": "Ephemeral", "authSecret": { "name": "secret" },
                "podTemplate": { "spec": { "containers": [{ "env": [{ "value": "secret" }] }] } },
            },
            "status": { "phase": "Ready", "conditions": conditions.collect::<Vec<_>>() },
        })
    }

    fn reduced(object: &Value) -> Postgres {
        let bytes = postgres(object.to_string().as_bytes()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn postgres_tells_whether_it_was_initialised_and_nothing_of_its_spec() {
        let annotations = json!({ "pgops.dev/initialized": "2026-11-16T19:40:00Z", "note": "secret" });
        for (annotations, status, expected) in [
            (&annotations, json!(["Ready"]), true),
            (&json!({}), json!(["Ready", "Provisioned"]), true),
            (&json!({}), json!(["Ready"]), false),
        ] {
            let found = reduced(&object(annotations, &status));
            assert_eq!(found.was_initialized(), expected);
            assert_eq!(found.spec.storage_type, Some(StorageType::Ephemeral));
            assert_eq!(found.metadata.name.as_deref(), Some("orders"));
        }
    }

    #[test]
    fn postgres_without_a_status_is_new() {
        let object = json!({
            "apiVersion": "kubedb.com/v1", "kind": "Postgres", "spec": { "version": "17.2" },
            "metadata": { "name": "orders", "namespace": "demo", "uid": "u" },
        });
        assert!(!reduced(&object).was_initialized());
    }
}
