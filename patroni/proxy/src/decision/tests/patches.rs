//! Bodies of patches.

#![allow(clippy::needless_pass_by_value, reason = "a case of rstest is a value")]

use serde_json::{Value, json};

use super::*;
use crate::record::{ROLES, Record};

const LEADER: &str = "/api/v1/namespaces/demo/configmaps/orders-ha-17-leader";
const POD: &str = "/api/v1/namespaces/demo/pods/orders-1";

/// A patch of a record, with these annotations.
fn record(name: &str, annotations: &Value) -> Value {
    json!({"metadata": {
        "namespace": "demo", "name": name, "labels": {"pgops.dev/ha": "orders-ha-17"}, "annotations": annotations,
    }})
}

/// A patch of this pod, with these labels and annotations.
fn pod(labels: &Value, annotations: &Value) -> Value {
    json!({"metadata": {
        "namespace": "demo", "name": "orders-1", "labels": labels, "annotations": annotations,
    }})
}

/// Replaces the value at a pointer, whose parent exists.
fn with(mut patch: Value, pointer: &str, value: Value) -> String {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    patch.pointer_mut(parent).unwrap()[key] = value;
    patch.to_string()
}

fn lock() -> Value {
    record("orders-ha-17-leader", &json!({"leader": "orders-1"}))
}

fn own_pod() -> Value {
    pod(&json!({"kubedb.com/role": "primary"}), &json!({"status": "{}"}))
}

#[rstest]
// What Patroni 4.1.5 sends: renewal, release and the last position.
#[case("leader", json!({"leader": "orders-1", "ttl": "20", "renewTime": "t", "acquireTime": "t", "transitions": "0"}))]
#[case("leader", json!({"leader": null, "optime": "83886080"}))]
#[case("leader", json!({"optime": "83886080"}))]
#[case("leader", json!({"leader": "orders-1", "slots": "{}", "retain_slots": null, "failsafe": null}))]
// Bootstrap, dynamic configuration and history.
#[case("config", json!({"initialize": ""}))]
#[case("config", json!({"initialize": null}))]
#[case("config", json!({"config": "{\"ttl\":20}"}))]
#[case("config", json!({"history": "[[1,25623960,\"no recovery target specified\"]]"}))]
// Synchronous standbys, and a switchover.
#[case("sync", json!({"leader": "orders-1", "sync_standby": "orders-0,orders-2", "quorum": "1"}))]
#[case("sync", json!({"leader": "orders-0", "sync_standby": null, "quorum": null}))]
#[case("failover", json!({"leader": "orders-0", "member": "orders-2", "scheduled_at": null}))]
fn patches_of_records_pass(#[case] suffix: &str, #[case] annotations: Value) {
    let name = format!("orders-ha-17-{suffix}");
    for version in [None, Some("4711")] {
        let mut body = record(&name, &annotations);
        if let Some(version) = version {
            body["metadata"]["resourceVersion"] = version.into();
        }
        let target = format!("{CONFIG_MAPS}/{name}");
        let sent = outgoing(patch(&target, &body.to_string()));
        assert_eq!((sent.method, sent.target), (Method::PATCH, target));
        assert_eq!(serde_json::from_slice::<Value>(&sent.body).unwrap(), body);
    }
}

#[test]
fn patches_of_this_pod_pass() {
    for role in ROLES.into_iter().map(Value::from).chain([Value::Null]) {
        let body = pod(&json!({"kubedb.com/role": role}), &json!({"status": "{\"state\":\"running\"}"}));
        let sent = outgoing(patch(POD, &body.to_string()));
        assert_eq!((sent.method, sent.target.as_str()), (Method::PATCH, POD));
        assert_eq!(serde_json::from_slice::<Value>(&sent.body).unwrap(), body);
    }
}

#[rstest]
#[case("/metadata/ownerReferences", json!([]))]
#[case("/metadata/ownerReferences", Value::Null)]
#[case("/metadata/finalizers", json!(["pgops.dev/x"]))]
#[case("/metadata/finalizers", Value::Null)]
#[case("/metadata/generateName", json!("x"))]
#[case("/metadata/uid", json!("x"))]
#[case("/metadata/managedFields", json!([{}]))]
#[case("/metadata/deletionTimestamp", Value::Null)]
#[case("/metadata/creationTimestamp", Value::Null)]
#[case("/metadata/$patch", json!("replace"))]
#[case("/metadata/$retainKeys", json!(["name"]))]
#[case("/metadata/$setElementOrder~1finalizers", json!([]))]
#[case("/metadata/$deleteFromPrimitiveList~1finalizers", json!(["pgops.dev/x"]))]
#[case("/metadata/Annotations", json!({"leader": "orders-0"}))]
#[case("/metadata/ANNOTATIONS", Value::Null)]
#[case("/$patch", json!("delete"))]
#[case("/data", json!({"leader": "x"}))]
#[case("/binaryData", Value::Null)]
#[case("/immutable", json!(true))]
#[case("/spec", json!({"activeDeadlineSeconds": 1}))]
#[case("/spec", Value::Null)]
#[case("/status", json!({"phase": "Failed"}))]
#[case("/apiVersion", json!("v1"))]
#[case("/kind", json!("Secret"))]
#[case("/Metadata", json!({}))]
#[case("/metadata", Value::Null)]
#[case("/metadata", json!([]))]
#[case("/metadata/labels", Value::Null)]
#[case("/metadata/annotations", Value::Null)]
#[case("/metadata/annotations", json!([]))]
#[case("/metadata/labels", json!("x"))]
#[case("/metadata/resourceVersion", json!(7))]
fn other_fields_are_refused(#[case] pointer: &str, #[case] value: Value) {
    let pointer = pointer.replace("~1", "/");
    // The names of fields with a slash in them.
    let (parent, key) = match pointer.split_once("/$") {
        Some((parent, key)) => (parent.to_owned(), format!("${key}")),
        None => pointer.rsplit_once('/').map(|(parent, key)| (parent.to_owned(), key.to_owned())).unwrap(),
    };
    for (target, mut body) in [(LEADER, lock()), (POD, own_pod())] {
        body.pointer_mut(&parent).unwrap()[&key] = value.clone();
        assert_eq!(kind(patch(target, &body.to_string())), "fields", "{body}");
    }
}

#[rstest]
#[case("")]
#[case("null")]
#[case("[]")]
#[case("\"x\"")]
#[case("{}")]
#[case("{\"metadata\":{}}")]
#[case("not JSON")]
#[case("metadata: {name: orders-1}")]
#[case("{\"metadata\":{\"name\":\"orders-1\",\"namespace\":\"demo\"}}")]
#[case("[{\"op\":\"remove\",\"path\":\"/metadata/ownerReferences\"}]")]
fn bodies_of_another_shape_are_refused(#[case] body: &str) {
    assert_eq!(kind(patch(LEADER, body)), "fields");
    assert_eq!(kind(patch(POD, body)), "fields");
    assert_eq!(kind(patch(POD, &format!("{}{body} {{}}", own_pod()))), "fields");
}

#[test]
fn deeply_nested_body_is_refused() {
    let body = format!("{{\"metadata\":{}", "{\"labels\":".repeat(200_000));
    assert_eq!(kind(patch(LEADER, &body)), "fields");
}

#[rstest]
#[case("/metadata/name", "orders-ha-17-config")]
#[case("/metadata/name", "shop-ha-17-leader")]
#[case("/metadata/name", "")]
#[case("/metadata/namespace", "other")]
#[case("/metadata/namespace", "")]
fn patch_that_names_another_object_is_refused(#[case] pointer: &str, #[case] value: &str) {
    assert_eq!(kind(patch(LEADER, &with(lock(), pointer, value.into()))), "identity");
    assert_eq!(kind(patch(POD, &with(own_pod(), pointer, value.into()))), "identity");
}

#[rstest]
#[case(LEADER, json!({"pgops.dev/ha": "shop-ha-17"}))]
#[case(LEADER, json!({"pgops.dev/ha": null}))]
#[case(LEADER, json!({"pgops.dev/ha": "orders-ha-17", "app": "x"}))]
#[case(LEADER, json!({"pgops.dev/ha": "orders-ha-17", "$patch": "delete"}))]
#[case(LEADER, json!({"kubedb.com/role": "primary"}))]
#[case(POD, json!({"pgops.dev/ha": "orders-ha-17"}))]
#[case(POD, json!({"pgops.dev/ha": null}))]
#[case(POD, json!({"kubedb.com/role": "other"}))]
#[case(POD, json!({"kubedb.com/role": ""}))]
#[case(POD, json!({"kubedb.com/role": "primary", "app.kubernetes.io/instance": "shop"}))]
#[case(POD, json!({"kubedb.com/role": "primary", "$patch": "replace"}))]
#[case(POD, json!({"KubeDB.com/role": "primary"}))]
fn other_labels_are_refused(#[case] target: &str, #[case] labels: Value) {
    let body = if target == POD { own_pod() } else { lock() };
    assert_eq!(kind(patch(target, &with(body, "/metadata/labels", labels))), "label");
}

#[rstest]
#[case(LEADER, json!({"config": "{}"}))]
#[case(LEADER, json!({"status": "{}"}))]
#[case(LEADER, json!({"$patch": "replace"}))]
#[case(LEADER, json!({"leader": "orders-1", "pgops.dev/claim": "x"}))]
#[case(LEADER, json!({"Leader": "orders-1"}))]
#[case(LEADER, json!({"leader ": "orders-1"}))]
#[case(POD, json!({"leader": "orders-1"}))]
#[case(POD, json!({"status": "{}", "cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}))]
#[case(POD, json!({"$patch": "delete"}))]
#[case(POD, json!({"container.apparmor.security.beta.kubernetes.io/postgres": "unconfined"}))]
fn other_annotations_are_refused(#[case] target: &str, #[case] annotations: Value) {
    let body = if target == POD { own_pod() } else { lock() };
    assert_eq!(kind(patch(target, &with(body, "/metadata/annotations", annotations))), "annotation");
}

#[test]
fn annotations_of_one_record_are_refused_in_the_others() {
    for record in Record::ALL {
        for key in Record::ALL.into_iter().flat_map(Record::annotations) {
            let name = orders().config_map(record);
            let body = self::record(&name, &json!({*key: "orders-1"})).to_string();
            let decided = patch(&format!("{CONFIG_MAPS}/{name}"), &body);
            assert_eq!(decided.is_ok(), record.annotations().contains(key), "{key} of {name}");
        }
    }
}

#[rstest]
#[case("orders-0")]
#[case("")]
#[case("shop-0")]
fn lock_is_not_taken_in_the_name_of_another_member(#[case] leader: &str) {
    let body = record("orders-ha-17-leader", &json!({"leader": leader, "ttl": "20"}));
    assert_eq!(kind(patch(LEADER, &body.to_string())), "annotation");
}

/// Two parsers may read two things in such a body; only one of them reads what is sent.
#[test]
fn key_that_is_written_twice_is_sent_once() {
    let twice = "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"orders-1\",\
        \"labels\":{\"kubedb.com/role\":\"standby\",\"kubedb.com/role\":\"primary\"},\"annotations\":{}}}";
    let sent = outgoing(patch(POD, twice)).body;
    assert_eq!(String::from_utf8(sent).unwrap().matches("kubedb.com/role").count(), 1);
    let fields = "{\"metadata\":{\"namespace\":\"demo\",\"name\":\"orders-1\",\"labels\":{},\"annotations\":{},\
        \"annotations\":{\"status\":\"{}\"}}}";
    assert_eq!(kind(patch(POD, fields)), "fields");
}
