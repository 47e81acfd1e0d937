//! What is not the upgrade's own is not written, whatever its name is.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use kube::Resource;
use pgops_api::plan::UpgradePlan;
use pgops_api::{Postgres, PostgresOpsRequest, StorageRisk, names};
use pgops_testing::fake_api_server::FakeApiServer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Cluster, ClusterError, PodVersion, ToldBy};

const DATABASE_UID: &str = "5d1c";
const REQUEST_UID: &str = "3f9c21aa-1111";
pub(super) const WORKLOAD_UID: &str = "workload";

pub(super) fn parse<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn plan() -> UpgradePlan {
    UpgradePlan {
        request_uid: REQUEST_UID.into(),
        database_uid: DATABASE_UID.into(),
        ..UpgradePlan::example("13.16", "13.23")
    }
}

pub(super) fn owned_by(api_version: &str, kind: &str, uid: &str) -> Value {
    json!([{ "apiVersion": api_version, "kind": kind, "name": "orders", "uid": uid }])
}

pub(super) fn of_database() -> Value {
    owned_by("kubedb.com/v1", "Postgres", DATABASE_UID)
}

pub(super) fn workload(uid: &str, owners: &Value) -> StatefulSet {
    parse(json!({
        "metadata": { "name": "orders", "namespace": "demo", "uid": uid, "ownerReferences": owners },
        "spec": { "selector": {}, "serviceName": "orders-pods", "replicas": 1, "template": { "spec": {
            "containers": [{ "name": "postgres", "image": "postgres:13.16" }],
        }}},
    }))
}

fn service(owners: &Value) -> Service {
    parse(
        json!({ "metadata": { "name": "orders", "namespace": "demo", "ownerReferences": owners }, "spec": {} }),
    )
}

/// A pod that answers with the image of the old version.
fn pod(owners: &Value) -> Pod {
    parse(json!({
        "metadata": { "name": "orders-0", "namespace": "demo", "uid": "pod", "ownerReferences": owners },
        "spec": { "containers": [{ "name": "postgres", "image": "postgres:13.16" }] },
        "status": { "podIP": "10.0.0.7", "conditions": [{ "type": "Ready", "status": "True" }] },
    }))
}

fn report(name: &str, owners: &Value) -> ConfigMap {
    parse(json!({
        "metadata": { "name": name, "namespace": "demo", "ownerReferences": owners },
        "data": { "report": "another user's" },
    }))
}

fn postgres(uid: &str) -> Postgres {
    parse(json!({
        "apiVersion": "kubedb.com/v1", "kind": "Postgres",
        "metadata": { "name": "orders", "namespace": "demo", "uid": uid }, "spec": { "version": "13.16" },
    }))
}

fn request(uid: &str) -> PostgresOpsRequest {
    parse(json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
        "metadata": { "name": "orders-17", "namespace": "demo", "uid": uid },
        "spec": { "type": "UpdateVersion", "databaseRef": { "name": "orders" } },
    }))
}

/// A version of 13, as its pods show it in a minor upgrade.
pub(super) fn version(image: &str) -> PodVersion {
    PodVersion { major: 13, image: image.to_owned(), told_by: ToldBy::Template }
}

pub(super) struct Test {
    pub(super) server: FakeApiServer,
    pub(super) cluster: Cluster,
}

impl Test {
    pub(super) fn new() -> Self {
        Self::with_servers(1)
    }

    pub(super) fn with_servers(servers: u32) -> Self {
        let server = FakeApiServer::new("demo");
        let cluster = Cluster::new(server.client(), &UpgradePlan { servers, ..plan() });
        Self { server, cluster }
    }

    pub(super) fn with<K: Resource<DynamicType = ()> + Serialize>(self, object: &K) -> Self {
        self.server.put(object);
        self
    }

    /// The number of writes by all clients, which a refused one does not change.
    pub(super) fn writes(&self) -> u64 {
        self.server.version()
    }

    pub(super) fn value<K>(&self, name: &str) -> Value
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Send + Sync + 'static,
    {
        serde_json::to_value(self.server.get::<K>(name).unwrap()).unwrap()
    }
}

fn assert_foreign<T>(result: Result<T, ClusterError>) {
    let error = result.err().expect("it was written");
    assert!(error.is_foreign(), "{error}");
}

#[tokio::test]
async fn foreign_workload_is_not_written() {
    let owners = [
        json!([]),
        owned_by("kubedb.com/v1", "Postgres", "an-earlier-one"),
        owned_by("v1", "Pod", DATABASE_UID),
    ];
    for owners in owners {
        let test = Test::new().with(&workload(WORKLOAD_UID, &owners));
        let before = test.writes();
        assert_foreign(test.cluster.scale(0).await);
        assert_foreign(test.cluster.set_template(&version("postgres:13.23")).await);
        assert_foreign(test.cluster.require_node("node-1").await);
        assert_foreign(test.cluster.ensure_owned().await);
        assert_foreign(test.cluster.storage_risk().await);
        assert_eq!(test.writes(), before);
    }
}

#[tokio::test]
async fn workload_that_took_the_name_of_a_checked_one_is_not_written() {
    let test = Test::new().with(&workload(WORKLOAD_UID, &of_database()));
    test.cluster.scale(0).await.unwrap();
    assert_eq!(test.value::<StatefulSet>("orders")["spec"]["replicas"], 0);
    let test = test.with(&workload("another", &json!([])));
    let before = test.writes();
    // The API server refuses the first write; before the second one the object is checked again.
    assert!(test.cluster.scale(0).await.is_err());
    assert_foreign(test.cluster.scale(0).await);
    assert_eq!(test.writes(), before);
    // The provisioner has created its own again.
    let test = test.with(&workload("third", &of_database()));
    test.cluster.scale(0).await.unwrap();
}

#[tokio::test]
async fn scaling_retains_the_volume_claims() {
    let test = Test::new().with(&workload(WORKLOAD_UID, &of_database()));
    test.server.change::<StatefulSet>("orders", |it| {
        it["spec"]["persistentVolumeClaimRetentionPolicy"] = json!({ "whenScaled": "Delete" });
    });
    test.cluster.scale(0).await.unwrap();
    let policy = &test.value::<StatefulSet>("orders")["spec"]["persistentVolumeClaimRetentionPolicy"];
    assert_eq!(policy["whenScaled"], "Retain");
}

#[tokio::test]
async fn foreign_service_is_not_written() {
    let test = Test::new().with(&workload(WORKLOAD_UID, &of_database())).with(&service(&json!([])));
    assert_foreign(test.cluster.publish_not_ready_addresses(true).await);
    assert_foreign(test.cluster.ensure_owned().await);
    let test = test.with(&service(&of_database()));
    test.cluster.publish_not_ready_addresses(true).await.unwrap();
    assert_eq!(test.value::<Service>("orders")["spec"]["publishNotReadyAddresses"], true);
}

#[tokio::test]
async fn foreign_pod_is_neither_connected_to_nor_waited_for() {
    let test = Test::new().with(&workload(WORKLOAD_UID, &of_database())).with(&pod(&json!([])));
    let old = version("postgres:13.16");
    let minute = Duration::from_mins(1);
    assert_foreign(test.cluster.pod_state(&old).await);
    assert_foreign(test.cluster.wait_for_answer(&old, minute, |_| {}).await);
    assert_foreign(test.cluster.stop_pod(|_| {}).await);
    let test = test.with(&pod(&owned_by("apps/v1", "StatefulSet", WORKLOAD_UID)));
    let found = test.cluster.wait_for_answer(&old, minute, |_| {}).await.unwrap();
    assert_eq!(found.unwrap(), "10.0.0.7");
}

#[tokio::test]
async fn foreign_report_stays_and_another_name_is_used() {
    let foreign = report(&names::report("orders-17"), &json!([]));
    let test = Test::new().with(&foreign);
    assert_eq!(test.cluster.report("report").await.unwrap(), None);
    test.cluster.write_report("report", "ours").await.unwrap();
    assert_eq!(test.value::<ConfigMap>("orders-17-report")["data"], json!({ "report": "another user's" }));
    assert_eq!(test.cluster.report_name(), "orders-17-3f9c21aa-report");
    test.cluster.write_report("journal", "line").await.unwrap();
    // Another runner finds it.
    let next = Cluster::new(test.server.client(), &plan());
    assert_eq!(next.report("report").await.unwrap().as_deref(), Some("ours"));
    next.write_report("journal", "two lines").await.unwrap();
    let written = test.value::<ConfigMap>("orders-17-3f9c21aa-report");
    assert_eq!(written["data"], json!({ "report": "ours", "journal": "two lines" }));
    assert_eq!(written["metadata"]["ownerReferences"][0]["uid"], REQUEST_UID);
}

#[tokio::test]
async fn report_with_both_names_taken_is_an_error() {
    let [usual, second] =
        ["orders-17-report", "orders-17-3f9c21aa-report"].map(|name| report(name, &of_database()));
    let test = Test::new().with(&usual).with(&second);
    let before = test.writes();
    assert_foreign(test.cluster.write_report("journal", "line").await);
    assert_eq!(test.writes(), before);
}

#[tokio::test]
async fn deleted_report_is_created_again() {
    let test = Test::new();
    test.cluster.write_report("journal", "one").await.unwrap();
    let reports = kube::Api::<ConfigMap>::namespaced(test.server.client(), "demo");
    reports.delete("orders-17-report", &kube::api::DeleteParams::default()).await.unwrap();
    test.cluster.write_report("journal", "one two").await.unwrap();
    assert_eq!(test.cluster.report("journal").await.unwrap().as_deref(), Some("one two"));
    // Replaced by another user's: not written either.
    test.server.put(&report("orders-17-report", &json!([])));
    test.cluster.write_report("journal", "three").await.unwrap();
    assert_eq!(test.cluster.report_name(), "orders-17-3f9c21aa-report");
}

#[tokio::test]
async fn database_and_request_of_another_uid_are_not_written() {
    let test = Test::new().with(&postgres("later")).with(&request("later"));
    let before = test.writes();
    let is_replaced = |error: ClusterError| matches!(error, ClusterError::Replaced { .. });
    assert!(is_replaced(test.cluster.pause().await.unwrap_err()));
    assert!(is_replaced(test.cluster.resume().await.unwrap_err()));
    assert!(test.cluster.set_version("13.23").await.is_err());
    assert!(is_replaced(test.cluster.update_request(|_| {}).await.unwrap_err()));
    assert_eq!(test.writes(), before);
    let test = test.with(&postgres(DATABASE_UID));
    test.cluster.pause().await.unwrap();
    test.cluster.set_version("13.23").await.unwrap();
    assert_eq!(test.value::<Postgres>("orders")["spec"]["version"], "13.23");
}

#[tokio::test]
async fn claim_that_is_being_deleted_is_a_risk() {
    let test = Test::new().with(&workload(WORKLOAD_UID, &of_database()));
    assert!(matches!(test.cluster.storage_risk().await.unwrap(), Some(StorageRisk::ClaimMissing { .. })));
    let claim: PersistentVolumeClaim = parse(json!({
        "metadata": { "name": "data-orders-0", "finalizers": ["kubernetes.io/pvc-protection"] },
    }));
    let test = test.with(&claim);
    assert_eq!(test.cluster.storage_risk().await.unwrap(), None);
    test.server.change::<PersistentVolumeClaim>("data-orders-0", |it| {
        it["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:00Z");
    });
    assert!(matches!(test.cluster.storage_risk().await.unwrap(), Some(StorageRisk::ClaimDeleted { .. })));
}

/// A worker's pod, whose container `rehearsal` has this state and last state.
fn worker_pod(state: &Value, last_state: &Value) -> Pod {
    parse(json!({
        "metadata": { "name": "orders-17-x", "namespace": "demo" },
        "spec": {
            "initContainers": [
                { "name": "rehearsal", "image": "pg:17", "resources": { "limits": { "memory": "4Gi" } } },
            ],
            "containers": [{ "name": "runner", "image": "runner" }],
        },
        "status": { "initContainerStatuses": [{
            "name": "rehearsal", "image": "", "imageID": "", "ready": true, "restartCount": 1,
            "state": state, "lastState": last_state,
        }] },
    }))
}

#[tokio::test(start_paused = true)]
async fn container_killed_for_lack_of_memory_is_known_with_its_limit() {
    let killed = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
    let running = json!({ "running": {} });
    for (state, last_state) in [(&killed, &json!({})), (&running, &killed)] {
        let mut test = Test::new().with(&worker_pod(state, last_state));
        test.cluster.own_pod = Some("orders-17-x".to_owned());
        let kill = test.cluster.memory_kill("rehearsal").await.unwrap();
        assert_eq!(kill.limit.as_deref(), Some("4Gi"));
        assert!(kill.to_string().contains("\"rehearsal\""), "{kill}");
    }
}

#[tokio::test(start_paused = true)]
async fn container_that_ended_otherwise_was_not_killed_for_lack_of_memory() {
    let by_itself = json!({ "terminated": { "exitCode": 137, "reason": "Error" } });
    for last_state in [by_itself, json!({})] {
        let mut test = Test::new().with(&worker_pod(&json!({ "running": {} }), &last_state));
        test.cluster.own_pod = Some("orders-17-x".to_owned());
        assert_eq!(test.cluster.memory_kill("rehearsal").await, None);
        test.cluster.own_pod = None;
        assert_eq!(test.cluster.memory_kill("rehearsal").await, None);
    }
}
