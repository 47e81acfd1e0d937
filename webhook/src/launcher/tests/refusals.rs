//! The API server refuses what the launcher creates: a quota, a policy, a limit range.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, ServiceAccount};
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_WAITING, Phase};
use pgops_api::{PostgresOpsRequest, condition, names};
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::json;

use super::{Launcher, active, add_request, claim, cluster, condition_message, get, phases};
use crate::launcher::fixtures::parse;

const WORDS: &str = "exceeded quota: small, requested: count/jobs.batch=1";

fn refused() -> FakeApiServer {
    let server = cluster();
    server.refuse_to_create::<Job>(Some(WORDS));
    add_request(&server, "a", "01:00", "17.11");
    server
}

fn waiting_reason(server: &FakeApiServer) -> Option<String> {
    let conditions = get(server, "a").status.unwrap().conditions;
    condition::find(&conditions, CONDITION_WAITING).and_then(|it| it.reason.clone())
}

#[tokio::test]
async fn refused_job_is_told_until_it_is_created() {
    let server = refused();
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    assert_eq!(
        (phases(&server), waiting_reason(&server).as_deref()),
        (vec![Phase::Pending], Some("JobRefused"))
    );
    let message = condition_message(&server, "a", CONDITION_WAITING);
    assert_eq!(message, format!("failed to create Job demo/a-a1: {WORDS}"));

    // Nothing is written again while nothing changes.
    let version = server.version();
    launcher.settle().await;
    assert_eq!(server.version(), version);

    server.refuse_to_create::<Job>(None);
    launcher.settle().await;
    assert_eq!((phases(&server), active(&server)), (vec![Phase::Progressing], vec!["a".to_owned()]));
    assert_eq!(waiting_reason(&server), None);
}

#[tokio::test]
async fn refused_identity_of_a_worker_is_told() {
    let server = cluster();
    server.refuse_to_create::<ServiceAccount>(Some("denied by a policy"));
    add_request(&server, "a", "01:00", "17.11");
    Launcher::new(&server).settle().await;
    let message = condition_message(&server, "a", CONDITION_WAITING);
    assert!(message.contains("ServiceAccount") && message.ends_with("denied by a policy"), "{message}");
}

#[tokio::test]
async fn request_with_a_refused_job_can_be_cancelled() {
    let server = refused();
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    server.change::<PostgresOpsRequest>("a", |it| {
        it["metadata"]["annotations"] = json!({ names::ANNOTATION_CANCEL: "true" });
    });
    launcher.settle().await;
    assert_eq!((phases(&server), claim(&server), waiting_reason(&server)), (vec![Phase::Failed], None, None));
}

#[tokio::test]
async fn refused_job_fails_the_request_after_its_time_limit() {
    let server = refused();
    server.change::<PostgresOpsRequest>("a", |it| it["spec"]["timeout"] = json!("5m"));
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    server.change::<PostgresOpsRequest>("a", |it| {
        let conditions = it["status"]["conditions"].as_array_mut().unwrap();
        conditions.last_mut().unwrap()["lastTransitionTime"] = json!("1970-01-01T00:00:00Z");
    });
    launcher.settle().await;
    assert_eq!((phases(&server), claim(&server)), (vec![Phase::Failed], None));
    let message = condition_message(&server, "a", CONDITION_FAILED);
    assert!(message.starts_with("demo/orders was not touched: ") && message.ends_with(WORDS), "{message}");
}

#[tokio::test]
async fn refused_pod_is_told_in_the_words_of_the_api_server() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    let job: Job = server.get(&names::job("a", "a1-of-01:00")).unwrap();
    server.put::<Event>(&parse(json!({
        "metadata": { "name": "refused", "namespace": "demo" },
        "involvedObject": { "uid": job.metadata.uid }, "type": "Warning", "reason": "FailedCreate",
        "message": format!("Error creating: {WORDS}"),
    })));
    launcher.settle().await;
    assert_eq!(
        (phases(&server), waiting_reason(&server).as_deref()),
        (vec![Phase::Progressing], Some("PodRefused"))
    );
    assert!(condition_message(&server, "a", CONDITION_WAITING).ends_with(WORDS));
}
