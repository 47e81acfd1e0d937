use super::*;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use pgops_api::PostgresOpsRequest;
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::{Value, json};

fn put<K: Resource<DynamicType = ()> + serde::Serialize + DeserializeOwned>(
    server: &FakeApiServer,
    object: Value,
) {
    server.put(&serde_json::from_value::<K>(object).unwrap());
}

/// An installation in the namespace of its only database.
fn installed() -> (FakeApiServer, Installation) {
    let server = FakeApiServer::new("demo");
    for (name, replicas) in [("pgops-launcher", 2), ("pgops-provisioner", 1)] {
        put::<Deployment>(
            &server,
            json!({
                "metadata": { "name": name, "namespace": "demo" },
                "spec": {
                    "replicas": replicas, "selector": { "matchLabels": { "app": name } }, "template": {},
                },
            }),
        );
    }
    put::<Postgres>(
        &server,
        json!({
            "apiVersion": "kubedb.com/v1", "kind": "Postgres",
            "metadata": { "name": "orders", "namespace": "demo", "finalizers": ["other", "kubedb.com"] },
            "spec": { "version": "13.16" },
        }),
    );
    let configuration = json!({ "metadata": { "name": "pgops-webhook" } });
    put::<ValidatingWebhookConfiguration>(&server, configuration.clone());
    put::<MutatingWebhookConfiguration>(&server, configuration);
    let installation = Installation {
        client: server.client(),
        watched: Namespaces::Only(vec!["demo".to_owned()]),
        finalizers: DatabaseFinalizers::Ours,
        namespace: "demo".to_owned(),
        deployments: ["pgops-launcher", "pgops-provisioner", "pgops-absent"].map(str::to_owned).into(),
        webhook_config: "pgops-webhook".to_owned(),
    };
    (server, installation)
}

fn replicas(server: &FakeApiServer, deployment: &str) -> Option<i32> {
    server.get::<Deployment>(deployment).unwrap().spec.unwrap().replicas
}

fn finalizers(server: &FakeApiServer) -> Vec<String> {
    server.get::<Postgres>("orders").unwrap().metadata.finalizers.unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn removal_leaves_databases_without_finalizer_and_admission_without_webhook() {
    let (server, installation) = installed();
    installation.prepare_removal().await.unwrap();
    assert_eq!(finalizers(&server), ["other"]);
    assert_eq!(replicas(&server, "pgops-launcher"), Some(0));
    assert_eq!(replicas(&server, "pgops-provisioner"), Some(0));
    assert!(server.get::<ValidatingWebhookConfiguration>("pgops-webhook").is_none());
    assert!(server.get::<MutatingWebhookConfiguration>("pgops-webhook").is_none());
    // A hook is repeated if a later step of `helm uninstall` failed.
    installation.prepare_removal().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refused_removal_changes_nothing() {
    let (server, installation) = installed();
    put::<PostgresOpsRequest>(
        &server,
        json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
            "metadata": { "name": "orders-17", "namespace": "demo" },
            "spec": { "type": "UpdateVersion", "databaseRef": { "name": "orders" } },
            "status": { "phase": "Progressing" },
        }),
    );
    let before = server.version();
    let error = installation.prepare_removal().await.unwrap_err().to_string();
    assert!(error.contains("demo/orders-17"), "{error}");
    assert_eq!(server.version(), before);
}

/// With a finalizer removed and a provisioner that adds it again, the removal would only seem to have succeeded.
#[tokio::test(start_paused = true)]
async fn controllers_are_started_again_if_one_of_them_does_not_end() {
    let (server, installation) = installed();
    put::<Pod>(
        &server,
        json!({ "metadata": {
            "name": "pgops-launcher-0", "namespace": "demo", "labels": { "app": "pgops-launcher" },
            "deletionTimestamp": "2026-11-20T10:00:00Z", "finalizers": ["node-lost"],
        } }),
    );
    let error = installation.prepare_removal().await.unwrap_err().to_string();
    assert!(error.contains("pgops-launcher-0"), "{error}");
    assert_eq!(replicas(&server, "pgops-launcher"), Some(2));
    assert_eq!(replicas(&server, "pgops-provisioner"), Some(1));
    assert_eq!(finalizers(&server), ["other", "kubedb.com"]);
}
