//! Requests that are executed with an API server.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_api::opsrequest::Phase;
use pgops_api::{Claim, Postgres, PostgresOpsRequest, names};
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::json;

use super::{Template, pod};
use crate::day_two::execute;
use crate::fixtures::{context, database, put_what_pods_require, version, workload};
use crate::observation::{Observation, PodLookup};

#[tokio::test]
async fn pod_is_deleted_once_the_api_server_would_take_the_next_one() {
    let policy = "denied by a policy about pods";
    for (refusal, expected) in [(None, Phase::Progressing), (Some(policy), Phase::Failed)] {
        let server = FakeApiServer::new("demo");
        let request: PostgresOpsRequest = serde_json::from_value(json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
            "metadata": { "name": "restart", "namespace": "demo", "uid": "r-1", "generation": 1 },
            "spec": { "type": "Restart", "databaseRef": { "name": "orders" } },
            "status": { "phase": "Progressing" },
        }))
        .unwrap();
        server.put(&request);
        put_what_pods_require(&server);
        let present = json!({ "metadata": { "name": "orders-0", "uid": "p" }, "spec": { "containers": [] } });
        server.put(&serde_json::from_value::<Pod>(present).unwrap());
        server.refuse_to_create::<Pod>(refusal);

        let mut database = database(json!({}));
        let claim = serde_json::to_string(&Claim::of(&request, None)).unwrap();
        database.annotations_mut().insert(names::ANNOTATION_CLAIM.to_owned(), claim);
        let workload = workload(&version("13.16", "13.16", None));
        let server_pod = PodLookup::Found(pod("p", 5, Some(10)));
        let running = Observation { server_pod, ..Observation::default() };
        for _ in 0..2 {
            let context = context(&server);
            execute(&context, &database, Some(&workload), Template::Current, &running).await.unwrap();
        }
        let request = server.get::<PostgresOpsRequest>("restart").unwrap();
        assert_eq!(request.phase(), expected, "{:?}", request.conditions());
        assert_eq!(server.get::<Pod>("orders-0").is_some(), refusal.is_some());
        assert_eq!(server.get::<Pod>("orders-pod-check"), None);
        if let Some(words) = refusal {
            let told = |message: Option<&String>| message.is_some_and(|message| message.contains(words));
            assert!(
                request.conditions().iter().any(|it| told(it.message.as_ref())),
                "{:?}",
                request.conditions()
            );
        }
    }
}

/// Annotations of an object may have 256 KiB together.
#[tokio::test]
async fn settings_that_the_postgres_cannot_hold_end_the_request() {
    let too_long = "Postgres.kubedb.com \"orders\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes";
    for (refusal, expected) in
        [(too_long, Phase::Failed), ("denied by a policy about annotations", Phase::Progressing)]
    {
        let server = FakeApiServer::new("demo");
        let request: PostgresOpsRequest = serde_json::from_value(json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
            "metadata": { "name": "settings", "namespace": "demo", "uid": "r-1", "generation": 1 },
            "spec": {
                "type": "Reconfigure", "databaseRef": { "name": "orders" },
                "configuration": { "applyConfig": { "user.conf": "work_mem = '8MB'" } },
            },
            "status": { "phase": "Progressing" },
        }))
        .unwrap();
        server.put(&request);
        let mut database = database(json!({}));
        let claim = serde_json::to_string(&Claim::of(&request, None)).unwrap();
        database.annotations_mut().insert(names::ANNOTATION_CLAIM.to_owned(), claim);
        server.put(&database);
        server.refuse_to_change::<Postgres>(Some(refusal));
        let workload = workload(&version("13.16", "13.16", None));
        let server_pod = PodLookup::Found(pod("p", 5, Some(10)));
        let running = Observation { server_pod, ..Observation::default() };
        // The stage begins, is refused, and ends the request.
        for _ in 0..3 {
            let context = context(&server);
            execute(&context, &database, Some(&workload), Template::Current, &running).await.unwrap();
        }
        let request = server.get::<PostgresOpsRequest>("settings").unwrap();
        assert_eq!(request.phase(), expected, "{:?}", request.conditions());
        let told = |message: Option<&String>| message.is_some_and(|message| message.contains(refusal));
        assert!(
            request.conditions().iter().any(|it| told(it.message.as_ref())),
            "{:?}",
            request.conditions()
        );
    }
}
