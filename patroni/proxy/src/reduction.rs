//! What Patroni gets of an object: its identity, and the labels and annotations that Patroni reads.
//!
//! The rest of a pod (variables, arguments, images, addresses) is for nothing in Patroni, and a superuser of the database
//! can read all that Patroni gets. Objects with the label of the scope that have the name of none of the database are
//! left out.

mod postgres;

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::call::Resource;
use crate::database::Database;
use crate::record::POD_ANNOTATIONS;
pub use postgres::postgres;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    /// Absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    metadata: Metadata,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    resource_version: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    api_version: String,
    kind: String,
    metadata: ListMetadata,
    items: Vec<Object>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
}

#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Serialize)]
struct ObjectEvent<'a> {
    r#type: &'a str,
    object: Object,
}

/// Which objects pass, and what of them.
#[derive(Clone, Copy)]
pub struct Reduction<'a> {
    database: &'a Database,
    resource: Resource,
}

impl<'a> Reduction<'a> {
    /// For the objects of one kind.
    pub fn new(database: &'a Database, resource: Resource) -> Self {
        Self { database, resource }
    }

    /// One object, which was requested by its name.
    pub fn object(self, json: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let object = self.reduce(serde_json::from_slice(json)?);
        serde_json::to_vec(&object.ok_or_else(|| Error::custom("it is of another database"))?)
    }

    /// A list.
    pub fn list(self, json: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let mut list: List = serde_json::from_slice(json)?;
        list.items = list.items.into_iter().filter_map(|object| self.reduce(object)).collect();
        serde_json::to_vec(&list)
    }

    /// Appends one event of a watch, as a line, unless it is of another database's object. An error, such as a version that is too old, is passed
    /// on as it was received.
    pub fn event(self, line: &[u8], events: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let event: Event<'_> = serde_json::from_slice(line)?;
        match event.r#type {
            "ERROR" => events.extend_from_slice(line),
            "ADDED" | "MODIFIED" | "DELETED" => {
                let Some(object) = self.reduce(serde_json::from_str(event.object.get())?) else {
                    return Ok(());
                };
                serde_json::to_writer(&mut *events, &ObjectEvent { r#type: event.r#type, object })?;
            }
            // A bookmark, which Patroni does not request and cannot read.
            _ => return Ok(()),
        }
        events.push(b'\n');
        Ok(())
    }

    fn reduce(self, mut object: Object) -> Option<Object> {
        let metadata = &mut object.metadata;
        let annotations = match self.resource {
            Resource::Pods => self.database.has_pod(&metadata.name).then_some(POD_ANNOTATIONS)?,
            Resource::ConfigMaps => self.database.record(&metadata.name)?.annotations(),
        };
        metadata.annotations.retain(|key, _| annotations.contains(&key.as_str()));
        Some(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::orders;
    use serde_json::{Value, json};

    fn pod(name: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name, "namespace": "demo", "uid": "u", "resourceVersion": "7",
                "labels": {"kubedb.com/role": "primary"},
                "annotations": {"status": "{}", "kubectl.kubernetes.io/last-applied-configuration": "secret"},
                "managedFields": [{"manager": "secret"}],
            },
            "spec": {"containers": [{"env": [{"name": "PASSWORD", "value": "secret"}]}]},
            "status": {"podIP": "10.0.0.1"},
        })
    }

    fn reduced_pod(name: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name, "namespace": "demo", "uid": "u", "resourceVersion": "7",
                "labels": {"kubedb.com/role": "primary"},
                "annotations": {"status": "{}"},
            },
        })
    }

    fn event(resource: Resource, event: &Value) -> String {
        let mut events = Vec::new();
        let database = orders();
        Reduction::new(&database, resource).event(event.to_string().as_bytes(), &mut events).unwrap();
        String::from_utf8(events).unwrap()
    }

    fn parse(json: impl AsRef<[u8]>) -> Value {
        serde_json::from_slice(json.as_ref()).unwrap()
    }

    #[test]
    fn object_keeps_only_what_patroni_reads() {
        let database = orders();
        let reduction = Reduction::new(&database, Resource::Pods);
        let object = reduction.object(pod("orders-1").to_string().as_bytes()).unwrap();
        assert_eq!(parse(object), reduced_pod("orders-1"));
    }

    #[test]
    fn list_has_only_objects_of_the_database() {
        let database = orders();
        let list = json!({
            "apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "9"},
            "items": [pod("orders-0"), pod("shop-0"), pod("orders-x-0")],
        });
        let list = Reduction::new(&database, Resource::Pods).list(list.to_string().as_bytes()).unwrap();
        let expected = json!({
            "apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "9"},
            "items": [reduced_pod("orders-0")],
        });
        assert_eq!(parse(list), expected);
    }

    #[test]
    fn config_maps_of_another_scope_are_left_out() {
        let record = |name: &str| {
            json!({"type": "ADDED", "object": {"kind": "ConfigMap", "metadata": {
                "name": name, "namespace": "demo", "uid": "u", "resourceVersion": "7",
                "annotations": {"leader": "orders-0", "status": "{}"},
            }, "data": {"secret": "secret"}}})
        };
        let own = event(Resource::ConfigMaps, &record("orders-ha-17-leader"));
        assert_eq!(parse(&own)["object"]["metadata"]["annotations"], json!({"leader": "orders-0"}));
        assert!(!own.contains("secret") && own.ends_with('\n'));
        assert_eq!(event(Resource::ConfigMaps, &record("shop-ha-17-leader")), "");
        assert_eq!(event(Resource::ConfigMaps, &record("orders-ha-17-other")), "");
    }

    #[test]
    fn events_are_reduced_and_errors_are_kept() {
        for kind in ["ADDED", "MODIFIED", "DELETED"] {
            let own = event(Resource::Pods, &json!({"type": kind, "object": pod("orders-2")}));
            assert_eq!(parse(own), json!({"type": kind, "object": reduced_pod("orders-2")}));
        }
        assert_eq!(event(Resource::Pods, &json!({"type": "ADDED", "object": pod("shop-0")})), "");
        assert_eq!(event(Resource::Pods, &json!({"type": "BOOKMARK", "object": pod("orders-2")})), "");
        let expired = json!({"type": "ERROR", "object": {"kind": "Status", "metadata": {}, "code": 410}});
        assert_eq!(event(Resource::Pods, &expired), format!("{expired}\n"));
    }

    #[test]
    fn object_without_labels_and_annotations_passes() {
        let database = orders();
        let reduction = Reduction::new(&database, Resource::Pods);
        let bare = json!({"metadata": {"name": "orders-0", "namespace": "demo", "uid": "u", "resourceVersion": "1"}});
        let object = parse(reduction.object(bare.to_string().as_bytes()).unwrap());
        assert_eq!(object["metadata"]["labels"], json!({}));
    }
}
