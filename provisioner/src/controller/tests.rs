use super::*;
use crate::fixtures::{self, database, version, workload};
use k8s_openapi::api::core::v1::{Event, Pod, Secret, Service};
use pgops_api::{condition, names};
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::json;

/// A database that was just created, and its catalog entry.
fn created() -> FakeApiServer {
    let server = FakeApiServer::new("demo");
    server.put(&database(json!({})));
    server.put(&version("13.16", "13.16", None));
    server
}

/// Reconciles the stored database once.
async fn provision_once(server: &FakeApiServer, workload: Option<StatefulSet>) -> Result<Action, ApiError> {
    let database = server.get::<Postgres>("orders").unwrap();
    Box::pin(provision(&fixtures::context(server), database, workload, None)).await
}

/// Reason and message of a condition that does not hold.
fn told(server: &FakeApiServer, type_: &str) -> (String, String) {
    let database = server.get::<Postgres>("orders").unwrap();
    let found = condition::find(database.conditions(), type_).unwrap().clone();
    assert_eq!(found.status, "False", "{found:?}");
    (found.reason.unwrap(), found.message.unwrap())
}

#[test]
fn paused_database_gets_only_the_workload_that_it_has_lost() {
    let workload = workload(&version("13.16", "13.16", None));
    let mut database = database(json!({}));
    assert!(builds(&database, None) && builds(&database, Some(&workload)));
    let paused = json!({ "conditions": [{
        "type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z",
    }] });
    database.status = serde_json::from_value(paused).unwrap();
    assert!(!builds(&database, None), "it was never started");
    database.annotations_mut().insert(names::ANNOTATION_INITIALIZED.into(), "2026-11-20T10:00:00Z".into());
    assert!(builds(&database, None) && !builds(&database, Some(&workload)));
}

#[tokio::test]
async fn refused_auth_secret_is_reported_in_the_words_of_the_api_server() {
    let server = created();
    server.refuse_to_create::<Secret>(Some("exceeded quota: no-secrets, limited: secrets=0"));
    assert_eq!(provision_once(&server, None).await.unwrap(), Action::requeue(RECHECK));
    let (reason, message) = told(&server, "ProvisioningStarted");
    assert_eq!(reason, "ReconcileFailed");
    assert!(message.contains("create Secret orders-auth") && message.contains("no-secrets"), "{message}");
    assert_eq!(told(&server, "Ready").0, "ReconcileFailed");
}

#[tokio::test]
async fn refused_finalizer_is_reported_and_nothing_is_built_without_it() {
    let server = created();
    server.refuse_to_change::<Postgres>(Some("denied by a policy about finalizers"));
    assert_eq!(provision_once(&server, None).await.unwrap(), Action::requeue(RECHECK));
    let (reason, message) = told(&server, "ProvisioningStarted");
    assert_eq!(reason, "ReconcileFailed");
    assert!(message.contains("add the finalizer of Postgres"), "{message}");
    assert!(message.contains("a policy about finalizers"), "{message}");
    assert_eq!((server.all::<Secret>(), server.all::<Service>()), (vec![], vec![]));
}

#[tokio::test]
async fn refused_pod_is_reported_although_its_retry_is_refused_too() {
    let server = created();
    assert_eq!(provision_once(&server, None).await.unwrap(), Action::requeue(WATCH));
    server.change::<StatefulSet>("orders", |it| it["status"] = json!({ "replicas": 0 }));
    let workload = server.get::<StatefulSet>("orders").unwrap();
    let refusal: Event = serde_json::from_value(json!({
        "metadata": { "name": "e" }, "involvedObject": { "uid": workload.uid() }, "reason": "FailedCreate",
        "message": "pods \"orders-0\" is forbidden: no digest", "lastTimestamp": "2026-11-20T10:00:00Z",
    }))
    .unwrap();
    server.put(&refusal);
    server.refuse_to_change::<StatefulSet>(Some("denied by a policy about StatefulSets"));
    assert_eq!(provision_once(&server, Some(workload)).await.unwrap(), Action::requeue(RECHECK));
    let (reason, message) = told(&server, "Ready");
    assert_eq!(reason, "PodRefused");
    assert!(message.contains("no digest"), "{message}");
    assert!(told(&server, "ProvisioningStarted").1.contains("a policy about StatefulSets"));
}

/// In the outage of an upgrade the controller would wait for up to 17 minutes after a quota was raised.
#[tokio::test]
async fn refused_pod_of_a_paused_database_is_retried() {
    let server = created();
    provision_once(&server, None).await.unwrap();
    server.change::<StatefulSet>("orders", |it| it["status"] = json!({ "replicas": 0 }));
    let workload = server.get::<StatefulSet>("orders").unwrap();
    let refusal: Event = serde_json::from_value(json!({
        "metadata": { "name": "e" }, "involvedObject": { "uid": workload.uid() }, "reason": "FailedCreate",
        "message": "exceeded quota", "lastTimestamp": "2026-11-20T10:00:00Z",
    }))
    .unwrap();
    server.put(&refusal);
    server.change::<Postgres>("orders", |it| {
        it["status"]["conditions"] = json!([{
            "type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z",
        }]);
    });
    provision_once(&server, Some(workload)).await.unwrap();
    let workload = server.get::<StatefulSet>("orders").unwrap();
    assert!(workload.annotations().contains_key(names::ANNOTATION_POD_RETRY), "{:?}", workload.annotations());
}

/// The StatefulSet's controller does not replace it: it would wait for its node for ever.
#[tokio::test]
async fn pod_without_a_node_is_replaced_when_the_template_has_changed() {
    for (node, is_kept) in [(None, false), (Some("node-1"), true)] {
        let server = created();
        assert_eq!(provision_once(&server, None).await.unwrap(), Action::requeue(WATCH));
        server.change::<StatefulSet>("orders", |it| it["status"] = json!({ "updateRevision": "orders-b" }));
        let workload = server.get::<StatefulSet>("orders").unwrap();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "orders-0", "labels": { "controller-revision-hash": "orders-a" },
                "ownerReferences": [
                    { "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": workload.uid() },
                ],
            },
            "spec": { "nodeName": node, "containers": [] },
            "status": { "phase": "Pending" },
        }))
        .unwrap();
        server.put(&pod);
        provision_once(&server, Some(workload)).await.unwrap();
        assert_eq!(server.get::<Pod>("orders-0").is_some(), is_kept, "{node:?}");
    }
}

#[tokio::test]
async fn client_that_scales_the_workload_down_is_told() {
    let server = created();
    provision_once(&server, None).await.unwrap();
    server.change::<StatefulSet>("orders", |it| {
        it["spec"]["replicas"] = json!(0);
        it["metadata"]["managedFields"] = json!([{
            "manager": "keda", "time": "2026-11-20T10:00:00Z", "fieldsV1": { "f:spec": { "f:replicas": {} } },
        }]);
    });
    let workload = server.get::<StatefulSet>("orders").unwrap();
    provision_once(&server, Some(workload)).await.unwrap();
    let (reason, message) = told(&server, "Ready");
    assert_eq!(reason, "ScaledDown");
    assert!(message.contains("\"keda\", has scaled StatefulSet orders to 0"), "{message}");
    // Until the StatefulSet's controller has created the pod.
    let workload = server.get::<StatefulSet>("orders").unwrap();
    assert_eq!(workload.spec.as_ref().and_then(|spec| spec.replicas), Some(1));
    provision_once(&server, Some(workload)).await.unwrap();
    assert_eq!(told(&server, "Ready"), (reason, message));
}
