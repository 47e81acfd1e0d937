//! Objects that have the name of the worker's before it is created.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
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
    rest["metadata"]["name"] = json!(name_of::<K>());
    rest["metadata"]["namespace"] = json!("demo");
    server.put::<K>(&parse(rest));
    stored::<K>(server)
}

/// The owner that an object of the request has; any user can write it into their own.
fn forged_owner() -> Value {
    json!({ "ownerReferences": [{
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest", "name": "a", "uid": "a1-of-01:00",
        "controller": true,
    }]})
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

/// A Role without rules can be bound to anyone: it would get the worker's.
#[tokio::test]
async fn role_binding_with_a_forged_owner_binds_no_rights() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    let role = put_foreign::<Role>(&server, json!({ "metadata": forged_owner(), "rules": [] }));
    let binding = put_foreign::<RoleBinding>(
        &server,
        json!({
            "metadata": forged_owner(),
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name_of::<Role>() },
            "subjects": [{ "kind": "User", "name": "eve" }],
        }),
    );
    Launcher::new(&server).settle().await;
    assert_eq!((stored::<Role>(&server), stored::<RoleBinding>(&server)), (role, binding));
    assert_eq!((phases(&server), active(&server)), (vec![Phase::Pending], Vec::new()));
    let text = condition_message(&server, "a", CONDITION_WAITING);
    assert!(text.starts_with("RoleBinding pgops-worker-a-a1 does not belong to"), "{text}");
}

#[tokio::test]
async fn job_with_a_forged_owner_is_neither_judged_nor_changed() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    let spec = json!({ "suspend": false, "template": { "spec": { "containers": [] } } });
    let status = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
    let foreign =
        put_foreign::<Job>(&server, json!({ "metadata": forged_owner(), "spec": spec, "status": status }));
    Launcher::new(&server).settle().await;
    assert_eq!((stored::<Job>(&server), phases(&server)), (foreign, vec![Phase::Pending]));
    assert!(condition_message(&server, "a", CONDITION_WAITING).starts_with("Job a-a1 does not belong to"));
}

/// Any user of the namespace can write labels.
#[tokio::test]
async fn pod_with_the_labels_of_a_worker_is_neither_waited_for_nor_deleted() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    for (name, job) in [("of-this", "a-a1"), ("of-another", "b-b1")] {
        server.put(&parse::<Pod>(json!({
            "metadata": {
                "name": name, "namespace": "demo",
                "labels": { "pgops.dev/database": "orders", "batch.kubernetes.io/job-name": job },
            },
            "spec": { "containers": [], "serviceAccountName": "default" },
            "status": { "phase": "Running" },
        })));
    }
    let launcher = Launcher::new(&server);
    launcher.settle().await;
    assert_eq!(active(&server), ["a"]);
    // As if it were cancelled.
    super::delete_request(&server, "a");
    launcher.settle().await;
    assert!(server.get::<Pod>("of-this").is_some() && server.get::<Pod>("of-another").is_some());
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
