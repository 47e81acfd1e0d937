//! Objects that have the name of the worker's before it is created.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Resource;
use pgops_api::names;
use pgops_api::opsrequest::{CONDITION_WAITING, Phase};
use pgops_testing::fake_api_server::FakeApiServer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Launcher, active, add_request, cluster, condition_message, get, phases};
use crate::launcher::fixtures::parse;

/// The name that an object of the worker has.
fn name_of<K: Resource<DynamicType = ()>>() -> String {
    let uid = "a1-of-01:00";
    if K::kind(&()) == "Job" { names::job("a", uid) } else { names::worker("a", uid) }
}

/// Stores an object of the worker's name that another user made, and returns it as it is stored.
fn put_foreign<K>(server: &FakeApiServer, mut rest: Value) -> Value
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Send + Sync + 'static,
{
    rest["metadata"] = json!({ "name": name_of::<K>(), "namespace": "demo" });
    server.put::<K>(&parse(rest));
    stored::<K>(server)
}

fn stored<K>(server: &FakeApiServer) -> Value
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Send + Sync + 'static,
{
    serde_json::to_value(server.get::<K>(&name_of::<K>()).unwrap()).unwrap()
}

async fn assert_not_adopted<K>(rest: Value)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Send + Sync + 'static,
{
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    let foreign = put_foreign::<K>(&server, rest);
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    assert_eq!(stored::<K>(&server), foreign);
    assert_eq!((phases(&server), active(&server)), (vec![Phase::Pending], Vec::new()));
    let text = condition_message(&server, "a", CONDITION_WAITING);
    let expected = format!(
        "{} {} does not belong to PostgresOpsRequest a (uid a1-of-01:00)",
        K::kind(&()),
        name_of::<K>()
    );
    assert!(text.starts_with(&expected), "{text}");
}

#[tokio::test]
async fn foreign_service_account_is_not_given_rights() {
    assert_not_adopted::<ServiceAccount>(json!({})).await;
}

#[tokio::test]
async fn foreign_role_is_not_bound() {
    let everything = json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }]);
    assert_not_adopted::<Role>(json!({ "rules": everything })).await;
}

#[tokio::test]
async fn foreign_role_binding_is_not_taken_for_the_workers() {
    let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" });
    assert_not_adopted::<RoleBinding>(json!({ "roleRef": role })).await;
}

#[tokio::test]
async fn foreign_job_is_neither_judged_nor_changed() {
    for state in [json!({ "conditions": [{ "type": "Failed", "status": "True" }] }), json!({ "active": 1 })] {
        let job = json!({ "spec": { "suspend": false, "template": {} }, "status": state });
        let server = cluster();
        add_request(&server, "a", "01:00", "17.11");
        let foreign = put_foreign::<Job>(&server, job);
        Launcher::new(&server).settle().await;
        assert_eq!(stored::<Job>(&server), foreign);
        assert_eq!(phases(&server), [Phase::Pending]);
        assert!(
            condition_message(&server, "a", CONDITION_WAITING).starts_with("Job a-a1 does not belong to")
        );
    }
}

#[tokio::test]
async fn request_starts_once_the_name_is_free() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    put_foreign::<ServiceAccount>(&server, json!({}));
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    // As if it were deleted.
    server.change::<ServiceAccount>(&name_of::<ServiceAccount>(), |it| {
        it["metadata"]["deletionTimestamp"] = json!("1970-01-01T01:00:00Z");
    });
    launcher.settle().await;
    assert_eq!((phases(&server), active(&server)), (vec![Phase::Progressing], vec!["a".to_owned()]));
    let conditions = get(&server, "a").status.unwrap().conditions;
    assert!(conditions.iter().all(|condition| condition.type_ != CONDITION_WAITING), "{conditions:?}");
}
