//! A worker that the caches do not know.

use super::postgres::{by, initialized, version_change};
use super::*;
use crate::admission::lookups::Lookups;
use crate::admission::outcome::Outcome;
use crate::admission::worker_write::WorkerWrite;
use pgops_api::PostgresOpsRequest;
use pgops_testing::fake_api_server::gated_client;

/// The caches have not seen the request start, or not at all: the API server has.
#[tokio::test]
async fn worker_that_the_caches_do_not_know_is_looked_up() {
    let mut request = with(opsrequest("17.11"), "/metadata/uid", json!("3f9c21aa-1111"));
    request["status"] = json!({"phase": "Progressing", "from": "13.16"});
    let change = || version_change(&initialized(), "17.11");
    let worker = "system:serviceaccount:demo:pgops-worker-orders-up-3f9c21aa";
    let api_server = FakeApiServer::new("demo");
    let cluster = Cluster { api_server: Some(api_server.clone()), ..Cluster::new() };
    assert!(
        cluster.denial(by(change(), worker)).await.contains("VersionGuarded"),
        "there is no such request"
    );

    api_server.put(&serde_json::from_value::<PostgresOpsRequest>(request).unwrap());
    assert!(cluster.warnings(by(change(), worker)).await.is_empty());
    let other = "system:serviceaccount:demo:pgops-worker-orders-up-3f9c21ab";
    assert!(cluster.denial(by(change(), other)).await.contains("VersionGuarded"));
    assert!(cluster.denial(by(change(), "ada")).await.contains("VersionGuarded"));

    api_server.change::<PostgresOpsRequest>("orders-up", |it| it["status"]["phase"] = json!("Failed"));
    assert!(cluster.denial(by(change(), worker)).await.contains("VersionGuarded"));
}

/// Only a replica that the API server does not answer gets here: it has authenticated the worker.
#[tokio::test(start_paused = true)]
async fn worker_is_admitted_if_the_api_server_does_not_answer() {
    let (sent, _unanswered) = tokio::sync::mpsc::unbounded_channel();
    let silent = gated_client("demo", sent);
    let review = by(version_change(&initialized(), "17.11"), "system:serviceaccount:demo:pgops-worker-x-1");
    let body = json!({ "request": review }).to_string();
    let write = WorkerWrite::denied(
        &Outcome { kind: "Postgres", decision: "forbidden", reason: "VersionGuarded" },
        body.as_bytes(),
    );
    assert!(write.unwrap().is_confirmed(&Lookups::new(silent)).await);
}

/// Any pod can claim to be a worker: what it makes the replica read is bounded.
#[tokio::test(start_paused = true)]
async fn worker_lookups_are_few_at_once() {
    let (sent, mut unanswered) = tokio::sync::mpsc::unbounded_channel();
    let lookups = Lookups::new(gated_client("demo", sent));
    let write = || {
        let user = "system:serviceaccount:demo:pgops-worker-x-1";
        let body = json!({ "request": by(version_change(&initialized(), "17.11"), user) }).to_string();
        let outcome = Outcome { kind: "Postgres", decision: "forbidden", reason: "VersionGuarded" };
        WorkerWrite::denied(&outcome, body.as_bytes()).unwrap()
    };
    let writes: Vec<_> = (0..10).map(|_| write()).collect();
    futures::future::join_all(writes.iter().map(|write| write.is_confirmed(&lookups))).await;
    let mut reads = 0;
    while unanswered.try_recv().is_ok() {
        reads += 1;
    }
    assert_eq!(reads, 2);
}
