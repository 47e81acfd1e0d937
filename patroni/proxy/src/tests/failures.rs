//! An API server that is away, hangs, or is not the right one: Patroni must see that, and nothing else.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;
use tokio::time::timeout;

use super::api_server::{Answer, ApiServer};
use super::client::{Client, get, patch};
use super::{LEADER, PODS, start_proxy};

fn lock() -> serde_json::Value {
    json!({"metadata": {"name": "orders-ha-17-leader", "namespace": "demo", "uid": "u", "resourceVersion": "1"}})
}

fn renewal() -> String {
    json!({"metadata": {
        "namespace": "demo", "name": "orders-ha-17-leader", "labels": {"pgops.dev/ha": "orders-ha-17"},
        "annotations": {"leader": "orders-1"},
    }})
    .to_string()
}

#[tokio::test]
async fn hung_api_server_gives_no_response() {
    let api_server = ApiServer::start().await;
    let proxy = start_proxy(&api_server).await;
    let mut client = Client::connect(proxy).await;
    // Longer than Patroni waits.
    let waited = timeout(Duration::from_secs(5), client.send(patch(LEADER, &renewal()))).await;
    assert!(waited.is_err(), "{waited:?}");
    api_server.until_connections(1).await;
    // Patroni gives up: so does the proxy, and the next request does not wait behind this one.
    drop(client);
    api_server.until_connections(0).await;
    api_server.answer_json(StatusCode::OK, &lock());
    assert_eq!(Client::connect(proxy).await.get(LEADER).await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn hung_api_server_hangs_only_the_connections_that_wait_for_it() {
    let api_server = ApiServer::start().await;
    let proxy = start_proxy(&api_server).await;
    let mut waiting = Client::connect(proxy).await;
    let waited = timeout(Duration::from_millis(200), waiting.send(get(PODS))).await;
    assert!(waited.is_err());
    api_server.answer_json(StatusCode::OK, &lock());
    assert_eq!(Client::connect(proxy).await.get(LEADER).await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn api_server_that_refuses_connections_ends_the_connection() {
    let mut api_server = ApiServer::start().await;
    let proxy = start_proxy(&api_server).await;
    api_server.stop().await;
    for _ in 0..2 {
        assert!(Client::connect(proxy).await.send(get(LEADER)).await.is_err(), "a response");
    }
}

#[tokio::test]
async fn connection_that_ends_before_the_response_ends_the_connection() {
    let api_server = ApiServer::start().await;
    api_server.answer(Answer::End);
    let proxy = start_proxy(&api_server).await;
    assert!(Client::connect(proxy).await.send(patch(LEADER, &renewal())).await.is_err());
    assert_eq!(api_server.seen().len(), 1, "a patch that may have been applied is not repeated");
}

#[tokio::test]
async fn server_with_a_certificate_of_another_authority_gets_no_token() {
    let api_server = ApiServer::start().await;
    api_server.answer_json(StatusCode::OK, &lock());
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let right = std::fs::read(api_server.service_account().join("ca.crt")).unwrap();
    std::fs::write(api_server.service_account().join("ca.crt"), other.cert.pem()).unwrap();
    let proxy = start_proxy(&api_server).await;
    assert!(Client::connect(proxy).await.send(get(LEADER)).await.is_err());
    assert!(api_server.seen().is_empty());
    // Authorities are read for each connection, so that they can be replaced.
    std::fs::write(api_server.service_account().join("ca.crt"), right).unwrap();
    assert_eq!(Client::connect(proxy).await.get(LEADER).await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn token_that_cannot_be_read_ends_the_connection() {
    let api_server = ApiServer::start().await;
    api_server.answer_json(StatusCode::OK, &lock());
    api_server.set_token("");
    let proxy = start_proxy(&api_server).await;
    assert!(Client::connect(proxy).await.send(get(LEADER)).await.is_err());
    assert!(api_server.seen().is_empty());
}

#[tokio::test]
async fn response_that_is_not_the_object_is_not_passed_on() {
    let api_server = ApiServer::start().await;
    let proxy = start_proxy(&api_server).await;
    let other =
        json!({"metadata": {"name": "shop-0", "namespace": "demo", "uid": "u", "resourceVersion": "1"}});
    for body in ["secret".to_owned(), "{}".to_owned(), other.to_string(), "x".repeat(5 * 1024 * 1024)] {
        api_server.answer(Answer::Response(StatusCode::OK, vec![], body));
        assert!(Client::connect(proxy).await.send(get(LEADER)).await.is_err());
    }
}
