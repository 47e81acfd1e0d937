//! A Job that is deleted by another client: by a user, or by a policy that sets `ttlSecondsAfterFinished`.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use pgops_api::names;
use pgops_api::opsrequest::{CONDITION_FAILED, Phase};
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::{Value, json};

use super::{Launcher, active, add_pod, add_request, cluster, condition_message, phases};

fn change_job(server: &FakeApiServer, change: impl FnOnce(&mut Value)) {
    server.change::<Job>(&names::job("a", "a1-of-01:00"), change);
}

fn delete_job(server: &FakeApiServer) {
    change_job(server, |it| it["metadata"]["deletionTimestamp"] = json!("1970-01-01T01:00:00Z"));
}

async fn launched() -> (FakeApiServer, Launcher) {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    (server, launcher)
}

#[tokio::test]
async fn job_that_is_deleted_at_its_end_is_not_created_again() {
    let (server, launcher) = launched().await;
    change_job(&server, |it| {
        it["status"]["conditions"] =
            json!([{ "type": "Failed", "status": "True", "reason": "PodFailurePolicy" }]);
    });
    delete_job(&server);
    assert_eq!(server.all::<Job>().len(), 1, "nothing keeps the Job until its result is recorded");
    launcher.settle().await;
    assert_eq!((phases(&server), server.all::<Job>().len()), (vec![Phase::Failed], 0));
    assert!(condition_message(&server, "a", CONDITION_FAILED).contains("PodFailurePolicy"));
}

#[tokio::test]
async fn deleted_job_ends_with_its_pod_and_is_created_again() {
    let (server, launcher) = launched().await;
    add_pod(&server, "a");
    delete_job(&server);
    launcher.settle().await;
    // The pod was deleted at once, as the API server does with one that has no grace.
    assert_eq!((server.all::<Pod>().len(), phases(&server)), (0, vec![Phase::Progressing]));
    assert_eq!(active(&server), ["a"]);
    let job = server.all::<Job>().remove(0);
    assert_eq!(job.metadata.deletion_timestamp, None);
    assert_eq!(server.recorded_max(), 1);
}
