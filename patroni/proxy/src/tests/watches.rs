//! Watches.

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::TRANSFER_ENCODING;
use serde_json::json;
use tokio::sync::mpsc;

use super::api_server::ApiServer;
use super::client::{Client, get};
use super::{PODS, start_proxy, within_deadline};

fn event(name: &str, status: &str) -> String {
    let event = json!({"type": "MODIFIED", "object": {"kind": "Pod", "metadata": {
        "name": name, "namespace": "demo", "uid": "u", "resourceVersion": "10", "annotations": {"status": status},
    }, "spec": {"secret": "secret"}}});
    format!("{event}\n")
}

async fn watch(client: &mut Client) -> Incoming {
    let response = client.send(get(&format!("{PODS}&watch=True&resourceVersion=9"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // Patroni reads watches by their chunks.
    assert_eq!(response.headers()[TRANSFER_ENCODING], "chunked");
    response.into_body()
}

async fn next(watch: &mut Incoming) -> String {
    let frame = within_deadline(watch.frame()).await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

async fn send(events: &mpsc::Sender<String>, text: &str) {
    within_deadline(events.send(text.to_owned())).await.unwrap();
}

#[tokio::test]
async fn event_arrives_when_it_is_complete() {
    let api_server = ApiServer::start().await;
    let events = api_server.answer_events();
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    // Before the first event: the response does not wait for one.
    let mut watch = watch(&mut client).await;
    assert_eq!(api_server.seen()[0].line, format!("GET {PODS}&watch=true&resourceVersion=9"));
    for status in ["running", "größer"] {
        let event = event("orders-0", status);
        let (begin, end) = event.split_at(20);
        send(&events, begin).await;
        send(&events, end).await;
        let received = next(&mut watch).await;
        assert!(received.contains(status) && received.ends_with("}\n"), "{received}");
        assert!(!received.contains("secret"), "{received}");
    }
}

#[tokio::test]
async fn events_of_other_databases_are_left_out() {
    let api_server = ApiServer::start().await;
    let events = api_server.answer_events();
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let mut watch = watch(&mut client).await;
    send(&events, &event("shop-0", "theirs")).await;
    send(&events, &format!("{}{}", event("shop-0", "theirs"), event("orders-0", "ours"))).await;
    let received = next(&mut watch).await;
    assert!(received.contains("ours") && !received.contains("theirs"), "{received}");
}

#[tokio::test]
async fn expired_version_is_passed_on() {
    let api_server = ApiServer::start().await;
    let events = api_server.answer_events();
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let mut watch = watch(&mut client).await;
    let expired = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n";
    send(&events, expired).await;
    assert_eq!(next(&mut watch).await, expired);
}

#[tokio::test]
async fn watch_ends_with_that_of_the_api_server() {
    let api_server = ApiServer::start().await;
    let events = api_server.answer_events();
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let mut watch = watch(&mut client).await;
    drop(events);
    assert!(within_deadline(watch.frame()).await.is_none());
}

#[tokio::test]
async fn watch_breaks_with_the_connection_to_the_api_server() {
    let mut api_server = ApiServer::start().await;
    let _events = api_server.answer_events();
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let mut watch = watch(&mut client).await;
    api_server.stop().await;
    assert!(within_deadline(watch.frame()).await.unwrap().is_err());
}

#[tokio::test]
async fn client_that_ends_its_watch_ends_that_of_the_proxy() {
    let api_server = ApiServer::start().await;
    let events = api_server.answer_events();
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let _watch = watch(&mut client).await;
    drop(client);
    within_deadline(events.closed()).await;
    api_server.until_connections(0).await;
}

#[tokio::test]
async fn refused_watch_is_passed_on() {
    let api_server = ApiServer::start().await;
    let status = json!({"kind": "Status", "code": 403});
    api_server.answer_json(StatusCode::FORBIDDEN, &status);
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let answered = client.get(&format!("{PODS}&watch=True&resourceVersion=9")).await.unwrap();
    assert_eq!(answered, (StatusCode::FORBIDDEN, status));
}
