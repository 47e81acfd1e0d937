//! A database with three servers, of which the first is the primary.

use pgops_api::rollout::{IfUnfit, next};
use serde_json::Value;

use super::*;
use crate::cluster::tests::{Test, WORKLOAD_UID, of_database, owned_by, parse, version, workload};

const OLD: &str = "postgres:13.16";
const NEW: &str = "postgres:13.23";

fn pod(ordinal: u32, image: &str) -> Pod {
    let (role, status) = match ordinal {
        0 => ("primary", json!({ "timeline": 3, "xlog_location": 50_331_648 })),
        _ => (
            "standby",
            json!({ "timeline": 3, "xlog_location": 50_331_648, "replication_state": "streaming" }),
        ),
    };
    parse(json!({
        "metadata": {
            "name": format!("orders-{ordinal}"), "namespace": "demo", "uid": format!("uid-{ordinal}"),
            "labels": { "kubedb.com/role": role }, "annotations": { "status": status.to_string() },
            "ownerReferences": owned_by("apps/v1", "StatefulSet", WORKLOAD_UID),
        },
        "spec": { "containers": [{
            "name": "postgres", "image": image, "env": [{ "name": "PGDATA", "value": "/var/pv/13/data" }],
        }] },
        "status": { "podIP": format!("10.0.0.{ordinal}"), "conditions": [
            { "type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z" },
        ] },
    }))
}

fn record(part: &str, annotations: &Value) -> ConfigMap {
    parse(json!({ "metadata": {
        "name": format!("orders-ha-13-{part}"), "namespace": "demo", "uid": part, "annotations": annotations,
        "ownerReferences": of_database(),
    } }))
}

fn test() -> Test {
    let acquired = "2026-11-20T10:30:00.250000+00:00";
    let lock = json!({ "leader": "orders-0", "optime": "50331648", "acquireTime": acquired });
    let sync = json!({ "leader": "orders-0", "sync_standby": "orders-1,orders-2" });
    let mut test = Test::with_servers(3)
        .with(&workload(WORKLOAD_UID, &of_database()))
        .with(&record("leader", &lock))
        .with(&record("sync", &sync))
        .with(&record("failover", &json!({})));
    for ordinal in 0..3 {
        test = test.with(&pod(ordinal, OLD));
    }
    test.server.change::<StatefulSet>("orders", |it| it["status"] = json!({ "updateRevision": "orders-2" }));
    test
}

async fn observed(test: &Test) -> Observed {
    test.cluster.members(&version(NEW), StreamingMode::Synchronous).await.unwrap()
}

fn asked(test: &Test) -> Option<SwitchoverRecord> {
    let record = test.server.get::<ConfigMap>("orders-ha-13-failover").unwrap();
    SwitchoverRecord::parse(record.metadata.annotations.as_ref())
}

#[tokio::test]
async fn standbys_of_the_old_image_are_replaced_first() {
    let test = test();
    let action = next(&observed(&test).await, IfUnfit::Wait);
    assert_eq!(format!("{action:?}"), r#"ReplacePod { name: "orders-2", uid: "uid-2" }"#);
    for ordinal in [1, 2] {
        test.server.put(&pod(ordinal, NEW));
    }
    let action = next(&observed(&test).await, IfUnfit::Wait);
    assert_eq!(format!("{action:?}"), r#"SwitchOver { from: "orders-0", to: "orders-1" }"#);
}

#[tokio::test]
async fn pod_of_a_template_that_was_not_observed_is_not_judged() {
    let test = test();
    test.server.change::<StatefulSet>("orders", |it| it["metadata"]["generation"] = json!(7));
    let action = next(&observed(&test).await, IfUnfit::Wait);
    assert!(format!("{action:?}").contains("TemplateNotSeen"), "{action:?}");
}

#[tokio::test]
async fn server_of_a_database_with_standbys_is_the_primary() {
    let test = test();
    assert_eq!(test.cluster.pod().await.unwrap().unwrap().name_any(), "orders-0");
    let since = test.cluster.ready_to_write_since().await.unwrap();
    assert_eq!(since, "2026-11-20T10:30:00.25Z".parse().ok(), "it has been ready for longer");
    test.server.change::<Pod>("orders-0", |it| it["metadata"]["labels"] = json!({}));
    assert!(test.cluster.pod().await.unwrap().is_none());
}

#[tokio::test]
async fn switchover_is_asked_for_once_and_withdrawn() {
    let test = test();
    let own = SwitchoverRecord::new("orders-0", "orders-1");
    assert_eq!(test.cluster.ask_switchover(&own).await.unwrap(), None);
    assert_eq!(asked(&test), Some(own.clone()));
    let before = test.writes();
    // By a runner that was started again.
    assert_eq!(test.cluster.ask_switchover(&own).await.unwrap(), Some(own.clone()));
    assert_eq!(test.writes(), before);
    test.cluster.withdraw_switchover(&own).await.unwrap();
    assert_eq!(asked(&test), None);
}

#[tokio::test]
async fn switchover_of_another_client_stays() {
    let test = test();
    let foreign = SwitchoverRecord::new("orders-0", "orders-2");
    test.server.put(&record("failover", &json!({ "leader": "orders-0", "member": "orders-2" })));
    let own = SwitchoverRecord::new("orders-0", "orders-1");
    assert_eq!(test.cluster.ask_switchover(&own).await.unwrap(), Some(foreign.clone()));
    test.cluster.withdraw_switchover(&own).await.unwrap();
    assert_eq!(asked(&test), Some(foreign));
}

#[tokio::test]
async fn record_of_another_owner_is_neither_read_nor_written() {
    let test = test();
    test.server.change::<ConfigMap>("orders-ha-13-failover", |it| {
        it["metadata"]["ownerReferences"] = json!([]);
    });
    let before = test.writes();
    let error = test.cluster.ask_switchover(&SwitchoverRecord::new("a", "b")).await.unwrap_err();
    assert!(error.is_foreign(), "{error}");
    assert_eq!(test.writes(), before);
}

#[tokio::test]
async fn rollout_applies_image_and_number_of_pods_again() {
    let test = test();
    test.cluster.apply_rollout(&version(NEW)).await.unwrap();
    let workload = test.value::<StatefulSet>("orders");
    assert_eq!(workload["spec"]["replicas"], 3);
    assert_eq!(workload["spec"]["template"]["spec"]["containers"][0]["image"], NEW);
}
