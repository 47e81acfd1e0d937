//! The rights of a request's worker.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use pgops_api::{PostgresOpsRequest, names};
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::{Value, json};

use super::{Launcher, active, add_pod, add_request, cluster, complete_upgrade, end_pod, get};

/// Whether the worker of the request has all of its rights.
pub fn has_rights(server: &FakeApiServer, request: &str) -> bool {
    rights(server, request) == (true, true, true)
}

/// Which of binding, Role and service account exist.
fn rights(server: &FakeApiServer, request: &str) -> (bool, bool, bool) {
    let name = names::worker(request, &get(server, request).metadata.uid.unwrap());
    (
        server.get::<RoleBinding>(&name).is_some(),
        server.get::<Role>(&name).is_some(),
        server.get::<ServiceAccount>(&name).is_some(),
    )
}

#[tokio::test]
async fn rights_end_although_the_pod_hangs() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    add_request(&server, "b", "02:00", "13.23");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    assert!(has_rights(&server, "a"));
    assert_eq!(rights(&server, "b"), (false, false, false), "it has not started");

    add_pod(&server, "a");
    server.change::<PostgresOpsRequest>("a", |it| it["status"]["phase"] = json!("Failed"));
    launcher.settle().await;
    assert_eq!(rights(&server, "a"), (false, false, false));
    assert_eq!(active(&server), ["a"], "the next request waits for the pod");

    end_pod(&server, "a");
    complete_upgrade(&server, "a");
    launcher.settle().await;
    assert_eq!(rights(&server, "a"), (false, false, false));
}

/// A pod that is lost when the request has ended is not replaced: no other can start without rights.
#[tokio::test]
async fn job_whose_pod_was_lost_ends_without_rights() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    add_request(&server, "b", "02:00", "13.23");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    server.change::<PostgresOpsRequest>("a", |it| it["status"]["phase"] = json!("Failed"));
    launcher.settle().await;
    assert_eq!((rights(&server, "a"), active(&server)), ((false, false, false), vec!["b".to_owned()]));
}

#[tokio::test]
async fn rights_of_another_owner_are_left_alone() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    let name = names::worker("a", &get(&server, "a").metadata.uid.unwrap());
    server.change::<Role>(&name, |it| it["metadata"]["ownerReferences"][0]["uid"] = json!("another"));
    complete_upgrade(&server, "a");
    launcher.settle().await;
    assert_eq!(rights(&server, "a"), (false, true, false));
}

#[tokio::test]
async fn recreated_job_has_the_rights_of_its_own_plan() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    let uid = get(&server, "a").metadata.uid.unwrap();
    let name = names::worker("a", &uid);
    let planned: Role = server.get(&name).unwrap();
    server.change::<Role>(&name, |it| it["rules"] = json!([]));
    server.change::<Job>(&names::job("a", &uid), |it| {
        it["metadata"]["deletionTimestamp"] = json!("1970-01-01T01:00:00Z");
    });
    launcher.settle().await;
    assert_eq!(server.get::<Role>(&name).unwrap().rules, planned.rules);
    assert_eq!(active(&server), ["a"]);
}

#[tokio::test]
async fn worker_may_read_its_own_pods_and_no_other() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    add_pod(&server, "a");
    let owners = server.get::<Pod>("a-pod").unwrap().metadata.owner_references;
    // It has the label, but not the owner.
    server.change::<Pod>("a-pod", |it| it["metadata"]["ownerReferences"] = Value::Null);
    let readable = || {
        let name = names::worker("a", &get(&server, "a").metadata.uid.unwrap());
        let rules = server.get::<Role>(&name).unwrap().rules.unwrap();
        let rule =
            rules.into_iter().find(|it| it.resources.as_ref().unwrap() == &["pods"] && it.verbs == ["get"]);
        rule.unwrap().resource_names.unwrap()
    };
    launcher.settle().await;
    assert_eq!(readable(), ["orders-0"]);

    server.change::<Pod>("a-pod", |it| it["metadata"]["ownerReferences"] = json!(owners));
    launcher.settle().await;
    assert_eq!(readable(), ["orders-0", "a-pod"]);
}
