//! Requests that the caches would still deny.

use super::*;
use pgops_api::{Postgres, PostgresOpsRequest};

fn stored<K: DeserializeOwned>(object: &Value) -> K {
    serde_json::from_value(object.clone()).unwrap()
}

/// A cluster whose API server has demo/orders, Ready.
fn cluster() -> (Cluster, FakeApiServer) {
    let api_server = FakeApiServer::new("demo");
    api_server.put(&stored::<Postgres>(&database("orders")));
    (Cluster { api_server: Some(api_server.clone()), ..Cluster::new() }, api_server)
}

#[tokio::test]
async fn request_for_a_database_that_has_just_become_ready_is_admitted() {
    let (mut cluster, api_server) = cluster();
    let starting = with(database("orders"), "/status/phase", json!("NotReady"));
    for known in [vec![starting], vec![]] {
        cluster.databases = known;
        let warnings = cluster.warnings(create(&opsrequest("17.11"))).await;
        assert!(warnings[0].starts_with("major upgrade 13.16 → 17.11 of demo/orders"), "{warnings:?}");
    }
    api_server.change::<Postgres>("orders", |it| it["status"]["phase"] = json!("NotReady"));
    let denial = cluster.denial(create(&opsrequest("17.11"))).await;
    assert!(denial.contains("DatabaseNotReady"), "{denial}");
}

#[tokio::test]
async fn request_after_another_one_has_just_ended_is_admitted() {
    let (mut cluster, api_server) = cluster();
    let mut first = with(opsrequest("13.23"), "/metadata/name", json!("first"));
    first["metadata"]["uid"] = json!("uid-of-first");
    first["status"] = json!({"phase": "Progressing"});
    cluster.requests = vec![first.clone()];
    api_server.put(&stored::<PostgresOpsRequest>(&first));
    let denial = cluster.denial(create(&opsrequest("17.11"))).await;
    assert!(denial.contains("RequestActive") && denial.contains("first"), "{denial}");

    api_server.change::<PostgresOpsRequest>("first", |it| it["status"]["phase"] = json!("Failed"));
    assert!(!cluster.warnings(create(&opsrequest("17.11"))).await.is_empty());
}
