//! Another client acts while a pod is waited for.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{Api, DeleteParams};
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::{Value, json};

use super::super::wait_times::REPORT_INTERVAL;
use super::*;
use crate::cluster::obstacle::WaitReason;
use crate::cluster::tests::{Test, WORKLOAD_UID, of_database, owned_by, parse, version, workload};

const NEW: &str = "postgres:13.23";
const MIRROR: &str = "mirror.example/postgres@sha256:23";

fn owned_pod(image: &str, revision: &str, status: &Value) -> Pod {
    parse(json!({
        "metadata": {
            "name": "orders-0", "namespace": "demo", "labels": { "controller-revision-hash": revision },
            "ownerReferences": owned_by("apps/v1", "StatefulSet", WORKLOAD_UID),
        },
        "spec": { "containers": [{
            "name": "postgres", "image": image, "env": [{ "name": "PGDATA", "value": "/var/pv/13/data" }],
        }] },
        "status": status,
    }))
}

fn ready() -> Value {
    json!({ "podIP": "10.0.0.7", "conditions": [{ "type": "Ready", "status": "True" }] })
}

fn unschedulable() -> Value {
    json!({ "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available",
    }] })
}

fn looping(restarts: i32) -> Value {
    json!({ "containerStatuses": [{
        "name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": restarts,
        "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 5m0s" } },
    }] })
}

/// With a workload whose template the controller has observed as `orders-2`.
fn test() -> Test {
    let test = Test::new().with(&workload(WORKLOAD_UID, &of_database()));
    test.server.change::<StatefulSet>("orders", |it| {
        it["status"] = json!({ "replicas": 1, "updateRevision": "orders-2" });
    });
    test
}

fn set_replicas(server: &FakeApiServer, replicas: i32) {
    server.change::<StatefulSet>("orders", |it| it["spec"]["replicas"] = json!(replicas));
}

/// Waits for 13.23 while another client does `meanwhile`; returns the address and the reasons that were observed.
async fn start(
    test: &Test,
    if_broken: IfBroken,
    meanwhile: impl Future<Output = ()>,
) -> (Result<Option<String>, ClusterError>, Vec<WaitReason>) {
    let version = version(NEW);
    let start = StartPod { version: &version, node: None, if_broken };
    let mut reasons = Vec::new();
    let observe = |observed: Observed| {
        reasons.extend(observed.obstacle.map(|obstacle| obstacle.reason));
        ControlFlow::Continue(())
    };
    let (started, ()) = tokio::join!(test.cluster.start_pod(&start, observe), meanwhile);
    reasons.dedup();
    (started, reasons)
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn template(test: &Test) -> Value {
    let workload = test.value::<StatefulSet>("orders");
    let container = &workload["spec"]["template"]["spec"]["containers"][0];
    json!([workload["spec"]["replicas"], container["image"], container["env"][0]["value"]])
}

#[tokio::test(start_paused = true)]
async fn wanted_state_is_applied_again_when_another_client_changes_it() {
    let test = test();
    let wanted = json!([1, NEW, "/var/pv/13/data"]);
    let meanwhile = async {
        after(2).await;
        assert_eq!(template(&test), wanted);
        set_replicas(&test.server, 0);
        after(2).await;
        assert_eq!(template(&test), wanted);
        test.server.change::<StatefulSet>("orders", |it| {
            it["spec"]["template"]["spec"]["containers"][0]["image"] = json!("by-hand");
        });
        after(2).await;
        assert_eq!(template(&test), wanted);
        test.server.put(&owned_pod(NEW, "orders-2", &ready()));
    };
    let (started, _) = start(&test, IfBroken::Fail, meanwhile).await;
    assert_eq!(started.unwrap().as_deref(), Some("10.0.0.7"));
}

#[tokio::test(start_paused = true)]
async fn workload_that_was_deleted_is_waited_for_and_set_up_again() {
    let test = test();
    let meanwhile = async {
        after(1).await;
        let workloads = Api::<StatefulSet>::namespaced(test.server.client(), "demo");
        workloads.delete("orders", &DeleteParams::default()).await.unwrap();
        after(10).await;
        // As the provisioner creates it.
        test.server.put(&workload("another", &of_database()));
        set_replicas(&test.server, 0);
        after(2).await;
        assert_eq!(template(&test), json!([1, NEW, "/var/pv/13/data"]));
        let mut pod = owned_pod(NEW, "orders-2", &ready());
        pod.metadata.owner_references = Some(parse(owned_by("apps/v1", "StatefulSet", "another")));
        test.server.put(&pod);
    };
    let (started, reasons) = start(&test, IfBroken::Fail, meanwhile).await;
    assert_eq!(started.unwrap().as_deref(), Some("10.0.0.7"));
    assert!(reasons.contains(&WaitReason::StatefulSetMissing), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn pod_with_a_rewritten_image_is_found_and_not_deleted() {
    let test = test().with(&owned_pod(MIRROR, "orders-2", &ready()));
    let (started, _) = start(&test, IfBroken::Fail, async {}).await;
    assert_eq!(started.unwrap().as_deref(), Some("10.0.0.7"));
    let version = version(NEW);
    let start = StartPod { version: &version, node: None, if_broken: IfBroken::Fail };
    let before = test.writes();
    test.cluster.replace_pod(&start).await.unwrap();
    assert_eq!(test.writes(), before, "it is of the version already");
    // One of the template before.
    let test = test.with(&owned_pod(MIRROR, "orders-1", &ready()));
    test.cluster.replace_pod(&start).await.unwrap();
    assert!(test.server.get::<Pod>("orders-0").is_none());
}

#[tokio::test(start_paused = true)]
async fn image_that_is_rewritten_in_the_workload_is_set_once() {
    let test = test();
    let rewrite = || {
        test.server.change::<StatefulSet>("orders", |it| {
            it["spec"]["template"]["spec"]["containers"][0]["image"] = json!(MIRROR);
        });
    };
    let version = version(NEW);
    let stored = test.cluster.set_template(&version).await.unwrap();
    assert!(test.cluster.has_template_of(&stored, &version));
    rewrite();
    let workload = test.server.get::<StatefulSet>("orders").unwrap();
    assert!(!test.cluster.has_template_of(&workload, &version), "another client has changed it");
    // As the API server answers whose webhook rewrites it.
    test.cluster.note_template(&workload, &version);
    assert!(test.cluster.has_template_of(&workload, &version));
}

#[tokio::test(start_paused = true)]
async fn unschedulable_pod_is_replaced_once_its_template_is_corrected() {
    let test = test().with(&owned_pod(NEW, "orders-2", &unschedulable()));
    let meanwhile = async {
        after(12).await;
        assert!(test.server.get::<Pod>("orders-0").is_some());
        test.server.change::<StatefulSet>("orders", |it| it["status"]["updateRevision"] = json!("orders-3"));
        after(2).await;
        assert!(test.server.get::<Pod>("orders-0").is_none(), "it was not replaced");
        test.server.put(&owned_pod(NEW, "orders-3", &ready()));
    };
    let (started, reasons) = start(&test, IfBroken::Fail, meanwhile).await;
    assert_eq!(started.unwrap().as_deref(), Some("10.0.0.7"));
    assert_eq!(reasons[0], WaitReason::DatabasePodUnschedulable);
}

#[tokio::test(start_paused = true)]
async fn wait_ends_when_its_observer_says_so() {
    let test = test().with(&owned_pod(NEW, "orders-2", &unschedulable()));
    let version = version(NEW);
    let start = StartPod { version: &version, node: None, if_broken: IfBroken::Fail };
    let ended = test.cluster.start_pod(&start, |observed| {
        assert!(!observed.runs_server);
        ControlFlow::Break(())
    });
    assert_eq!(ended.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn crash_loop_fails_at_once_only_if_the_upgrade_can_be_rolled_back() {
    let test = test().with(&owned_pod(NEW, "orders-2", &looping(5)));
    let began = Instant::now();
    let (started, _) = start(&test, IfBroken::Fail, async {}).await;
    assert!(matches!(started, Err(ClusterError::PodBroken { .. })), "{started:?}");
    assert!(began.elapsed() < REPORT_INTERVAL);

    let restarted = async {
        after(200).await;
        test.server.put(&owned_pod(NEW, "orders-2", &looping(6)));
    };
    let (started, reasons) = start(&test, IfBroken::WaitForNextStart, restarted).await;
    assert!(matches!(started, Err(ClusterError::PodBroken { .. })), "{started:?}");
    assert!((200..=201).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(reasons, [WaitReason::DatabasePodNotStarted]);

    let fixed = async {
        after(290).await;
        test.server.put(&owned_pod(NEW, "orders-2", &ready()));
    };
    let (started, _) = start(&test, IfBroken::WaitForNextStart, fixed).await;
    assert_eq!(started.unwrap().as_deref(), Some("10.0.0.7"));
}

#[tokio::test(start_paused = true)]
async fn workload_that_is_scaled_up_while_it_is_stopped_is_scaled_down_again() {
    let mut ending = owned_pod("postgres:13.16", "orders-1", &ready());
    ending.metadata.finalizers = Some(vec!["example.com/wait".to_owned()]);
    ending.metadata.deletion_timestamp = Some(parse(json!("2026-11-20T10:00:00Z")));
    let test = test().with(&ending);
    let mut reasons = Vec::new();
    let stop = test.cluster.stop_pod(|observed| {
        reasons.extend(observed.obstacle.map(|obstacle| obstacle.reason));
    });
    let meanwhile = async {
        after(7).await;
        set_replicas(&test.server, 1);
        after(2).await;
        assert_eq!(test.value::<StatefulSet>("orders")["spec"]["replicas"], 0);
        test.server.change::<Pod>("orders-0", |it| it["metadata"]["finalizers"] = Value::Null);
    };
    let (stopped, ()) = tokio::join!(stop, meanwhile);
    stopped.unwrap();
    assert_eq!(reasons, [WaitReason::DatabasePodNotStopped]);
}

#[tokio::test(start_paused = true)]
async fn pod_without_its_workload_is_not_taken_for_none() {
    let test = test().with(&owned_pod("postgres:13.16", "orders-1", &ready()));
    test.cluster.pod().await.unwrap().expect("it belongs to the workload");
    // Without its pods: as one does by hand, with --cascade=orphan.
    test.server.change::<Pod>("orders-0", |it| it["metadata"]["ownerReferences"] = json!([]));
    let workloads = Api::<StatefulSet>::namespaced(test.server.client(), "demo");
    workloads.delete("orders", &DeleteParams::default()).await.unwrap();
    let error = test.cluster.stop_pod(|_| {}).await.unwrap_err();
    assert!(error.is_foreign(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn database_that_is_being_restarted_is_waited_for_briefly() {
    let test = test();
    let old = version("postgres:13.16");
    let minute = Duration::from_mins(1);
    let restarted = async {
        after(20).await;
        test.server.put(&owned_pod("postgres:13.16", "orders-1", &ready()));
    };
    let (found, ()) = tokio::join!(test.cluster.wait_for_answer(&old, minute, |_| {}), restarted);
    assert_eq!(found.unwrap().unwrap(), "10.0.0.7");
    test.server.put(&owned_pod("postgres:13.16", "orders-1", &unschedulable()));
    let before = test.writes();
    let found = test.cluster.wait_for_answer(&old, minute, |_| {}).await.unwrap();
    assert!(found.unwrap_err().message.contains("0/1 nodes are available"));
    assert_eq!(test.writes(), before, "it changes nothing");
}
