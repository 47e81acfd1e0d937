//! Which client has changed a field last, as the API server records it: one that sets a field back must be named.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use pgops_api::Postgres;

use crate::apply::MANAGER;

/// The client, as it calls itself, that has changed one of these fields of a spec last, apart from the provisioner: through the object
/// itself, whose name here is empty, or through another one of these subresources.
pub fn changed_by(metadata: &ObjectMeta, fields: &[&str], subresources: &[&str]) -> Option<String> {
    let has_changed = |entry: &&ManagedFieldsEntry| {
        let spec = entry.fields_v1.as_ref().and_then(|owned| owned.0.get("f:spec"));
        subresources.contains(&entry.subresource.as_deref().unwrap_or_default())
            && entry.manager.as_deref() != Some(MANAGER)
            && spec.is_some_and(|spec| fields.iter().any(|field| spec.get(format!("f:{field}")).is_some()))
    };
    let entries = metadata.managed_fields.iter().flatten().filter(has_changed);
    entries.max_by_key(|entry| entry.time.clone())?.manager.clone()
}

/// The client that has scaled the workload of a database to 0 which is to run.
pub fn scaled_down_by(database: &Postgres, workload: &StatefulSet) -> Option<String> {
    let is_to_run = database.spec.halted != Some(true) && database.paused().is_none();
    let is_scaled_down = workload.spec.as_ref().and_then(|spec| spec.replicas) == Some(0);
    if !is_to_run || !is_scaled_down {
        return None;
    }
    changed_by(&workload.metadata, &["replicas"], &["", "scale"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{database, version, workload};
    use serde_json::{Value, json};

    fn entry(manager: &str, time: &str, spec: &Value, subresource: &str) -> Value {
        json!({
            "manager": manager, "time": time, "subresource": subresource, "fieldsV1": { "f:spec": spec },
        })
    }

    #[test]
    fn client_that_has_changed_a_field_last_is_named() {
        let template = json!({ "f:podTemplate": {} });
        let mut database = database(json!({}));
        database.metadata.managed_fields = serde_json::from_value(json!([
            entry("kubectl", "2026-11-20T10:00:00Z", &template, ""),
            entry("argocd-controller", "2026-11-20T10:00:02Z", &template, ""),
            entry(MANAGER, "2026-11-20T10:00:03Z", &template, ""),
            entry("helm", "2026-11-20T10:00:04Z", &json!({ "f:storage": {} }), ""),
            entry("another", "2026-11-20T10:00:05Z", &template, "status"),
        ]))
        .unwrap();
        let changed_by = |field| changed_by(&database.metadata, &[field], &[""]);
        assert_eq!(changed_by("podTemplate").as_deref(), Some("argocd-controller"));
        assert_eq!(changed_by("storage").as_deref(), Some("helm"));
        assert_eq!(changed_by("configuration"), None);
    }

    #[test]
    fn client_that_has_scaled_a_workload_down_is_named_unless_that_is_wanted() {
        let mut database = database(json!({}));
        let mut workload = workload(&version("13.16", "13.16", None));
        let replicas = json!({ "f:replicas": {} });
        workload.metadata.managed_fields = serde_json::from_value(json!([
            entry(MANAGER, "2026-11-20T10:00:00Z", &replicas, ""),
            entry("keda", "2026-11-20T10:00:01Z", &replicas, "scale"),
        ]))
        .unwrap();
        assert_eq!(scaled_down_by(&database, &workload), None);
        workload.spec.as_mut().unwrap().replicas = Some(0);
        assert_eq!(scaled_down_by(&database, &workload).as_deref(), Some("keda"));
        database.spec.halted = Some(true);
        assert_eq!(scaled_down_by(&database, &workload), None);
    }
}
