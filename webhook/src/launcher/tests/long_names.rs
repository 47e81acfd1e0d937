//! A request whose name is as long as the API allows.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{Resource, ResourceExt};
use pgops_api::PostgresOpsRequest;
use pgops_testing::fake_api_server::FakeApiServer;
use serde::de::DeserializeOwned;

use super::{Launcher, active, add_request, claim, cluster, complete_upgrade, delete_request};

/// Longest value of a label.
const MAX_LABEL: usize = 63;
/// Longest name of an object.
const MAX_NAME: usize = 253;

fn assert_valid<K>(server: &FakeApiServer)
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Send + Sync + 'static,
{
    let all = server.all::<K>();
    assert_eq!(all.len(), 1, "{}", K::kind(&()));
    for object in all {
        assert!(object.name_any().len() <= MAX_NAME, "{}", object.name_any());
        for (key, value) in object.labels() {
            let is_valid = value.len() <= MAX_LABEL && value.ends_with(|c: char| c.is_ascii_alphanumeric());
            assert!(is_valid, "{key}: {value}");
        }
    }
}

#[tokio::test]
async fn request_with_the_longest_name_runs_and_can_be_deleted() {
    for name in ["r".repeat(MAX_NAME), format!("{}.{}", "r".repeat(62), "s".repeat(190))] {
        let server = cluster();
        add_request(&server, &name, "01:00", "17.11");
        let launcher = Launcher::new(&server);
        launcher.settle().await;
        assert_eq!(active(&server), std::slice::from_ref(&name));
        assert_valid::<Job>(&server);
        assert_valid::<ServiceAccount>(&server);
        assert_valid::<Role>(&server);
        assert_valid::<RoleBinding>(&server);
        let pod = server.all::<Job>().remove(0).spec.unwrap().template.metadata.unwrap();
        assert!(pod.labels.unwrap().values().all(|value| value.len() <= MAX_LABEL));

        complete_upgrade(&server, &name);
        delete_request(&server, &name);
        launcher.settle().await;
        assert_eq!(server.all::<PostgresOpsRequest>().len(), 0);
        assert_eq!(claim(&server), None);
    }
}
