//! The queue of one database.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use pgops_api::admission::{Facts, decide};
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_SUCCESSFUL, CONDITION_WAITING, Phase};
use pgops_api::topology::StandbySupport;
use pgops_api::{Postgres, PostgresOpsRequest, names};
use serde_json::json;

use super::{
    Launcher, active, add_pod, add_request, claim, cluster, complete_job, complete_upgrade,
    condition_message, end_pod, get, names_of, phases,
};
use crate::launcher::fixtures::catalog;

#[tokio::test]
async fn requests_run_one_at_a_time_in_creation_order() {
    let server = cluster();
    add_request(&server, "c", "01:00", "17.11");
    add_request(&server, "b", "02:00", "13.23");
    add_request(&server, "a", "02:00", "13.23");
    let launcher = Launcher::new(&server);

    launcher.settle().await;
    assert_eq!(active(&server), ["c"]);
    assert_eq!(phases(&server), [Phase::Pending, Phase::Pending, Phase::Progressing]);
    for waiting in ["a", "b"] {
        let text = condition_message(&server, waiting, CONDITION_WAITING);
        assert_eq!(text, "waiting for PostgresOpsRequest c (Progressing) on demo/orders to end");
    }

    // The request has ended, its Job has not: no other request starts.
    add_pod(&server, "c");
    server.change::<PostgresOpsRequest>("c", |it| it["status"]["phase"] = json!("Failed"));
    launcher.settle().await;
    assert_eq!(active(&server), ["c"]);
    assert!(condition_message(&server, "a", CONDITION_WAITING).contains("job c-c1 of PostgresOpsRequest c"));

    end_pod(&server, "c");
    complete_job(&server, "c");
    launcher.settle().await;
    assert_eq!(active(&server), ["a"]);
    assert!(
        condition_message(&server, "b", CONDITION_WAITING).contains("PostgresOpsRequest a (Progressing)")
    );

    complete_upgrade(&server, "a");
    launcher.settle().await;
    complete_upgrade(&server, "b");
    launcher.settle().await;
    assert_eq!(claim(&server), None, "the claim outlived its last request");
    assert!(names_of(&server).iter().all(|name| get(&server, name).metadata.finalizers.unwrap().is_empty()));
    let mut jobs = server.all::<Job>().into_iter();
    assert!(jobs.all(|job| job.metadata.finalizers.unwrap().is_empty()), "a Job outlives its request");
    assert_eq!(server.recorded_max(), 1);
}

#[tokio::test]
async fn queued_request_for_the_same_target_restarts_nothing() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    add_request(&server, "b", "02:00", "17.11");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    server.change::<StatefulSet>("orders", |it| {
        it["spec"]["template"]["spec"]["containers"][0]["image"] = json!("postgres:17.11");
    });
    server.change::<PostgresOpsRequest>("a", |it| {
        it["status"]["conditions"] =
            json!([{ "type": "Successful", "status": "True", "lastTransitionTime": "1970-01-01T00:30:00Z" }]);
    });
    complete_upgrade(&server, "a");
    launcher.settle().await;
    assert_eq!((phases(&server), server.all::<Job>().len()), (vec![Phase::Successful, Phase::Successful], 1));
    let message = condition_message(&server, "b", CONDITION_SUCCESSFUL);
    assert!(message.starts_with("demo/orders has version 17.11 by PostgresOpsRequest a"), "{message}");
}

#[tokio::test]
async fn impossible_request_is_denied_with_admissions_message() {
    let server = cluster();
    add_request(&server, "first", "01:00", "17.11");
    add_request(&server, "second", "02:00", "13.23");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    complete_upgrade(&server, "first");
    launcher.settle().await;

    let second = get(&server, "second");
    let database = server.get::<Postgres>("orders");
    let facts = Facts {
        request: &second,
        database: database.as_ref(),
        catalog: &catalog(),
        active: &[],
        standbys: StandbySupport::Disabled,
    };
    let denial = decide(&facts).unwrap_err();
    assert_eq!(second.phase(), Phase::Denied);
    assert_eq!(condition_message(&server, "second", CONDITION_FAILED), denial.message);
    assert!(denial.message.starts_with("upgrade from version 17.11 to 13.23 is not supported"));
    assert_eq!((server.all::<Job>().len(), claim(&server)), (1, None));
}

#[tokio::test]
async fn request_of_a_newer_api_blocks_no_other() {
    let server = cluster();
    add_request(&server, "known", "02:00", "13.23");
    add_request(&server, "newer", "01:00", "13.23");
    server.change::<PostgresOpsRequest>("newer", |it| it["spec"]["type"] = json!("Teleport"));
    Launcher::new(&server).settle().await;
    assert_eq!(active(&server), ["known"]);
}

#[tokio::test]
async fn deleted_active_job_is_recreated_and_started() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    add_request(&server, "b", "01:00", "17.11");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    let first = claim(&server);
    let job = names::job("a", "a1-of-01:00");
    server.change::<Job>(&job, |it| it["metadata"]["deletionTimestamp"] = json!("1970-01-01T01:00:00Z"));
    launcher.settle().await;
    assert_eq!(active(&server), ["a"]);
    assert_ne!(claim(&server), first, "the claim names the Job that was deleted");
}
