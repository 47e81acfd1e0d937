//! What is passed on, and how.

use hyper::StatusCode;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use serde_json::json;

use super::api_server::{Answer, ApiServer};
use super::client::{Client, get, patch};
use super::{LEADER, PODS, start_proxy};
use crate::record::PATCH_TYPE;

fn pods() -> serde_json::Value {
    let pod = |name: &str| {
        json!({
            "metadata": {"name": name, "namespace": "demo", "uid": "u", "resourceVersion": "1"},
            "spec": {"containers": [{"env": [{"value": "secret"}]}]},
        })
    };
    json!({
        "apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "9"},
        "items": [pod("orders-0"), pod("shop-0")],
    })
}

fn lock() -> serde_json::Value {
    json!({"kind": "ConfigMap", "metadata": {
        "name": "orders-ha-17-leader", "namespace": "demo", "uid": "u", "resourceVersion": "4712",
        "annotations": {"leader": "orders-1"},
    }})
}

#[tokio::test]
async fn list_has_only_the_pods_of_the_database() {
    let api_server = ApiServer::start().await;
    api_server.answer_json(StatusCode::OK, &pods());
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let (status, list) = client.get(PODS).await.unwrap();
    assert_eq!((status, list["kind"].as_str()), (StatusCode::OK, Some("PodList")));
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert!(!list.to_string().contains("secret"));
    assert_eq!(api_server.seen()[0].line, format!("GET {PODS}"));
}

#[tokio::test]
async fn postgres_is_passed_on_in_part() {
    let api_server = ApiServer::start().await;
    let object = json!({
        "apiVersion": "kubedb.com/v1", "kind": "Postgres",
        "metadata": {"name": "orders", "namespace": "demo", "uid": "u"},
        "spec": {"version": "17.2", "authSecret": {"name": "secret"}},
    });
    api_server.answer_json(StatusCode::OK, &object);
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let path = "/apis/kubedb.com/v1/namespaces/demo/postgreses/orders";
    let (status, body) = client.get(path).await.unwrap();
    assert_eq!((status, body["spec"]["version"].as_str()), (StatusCode::OK, Some("17.2")));
    assert!(!body.to_string().contains("secret"));
    assert_eq!(api_server.seen()[0].line, format!("GET {path}"));
}

#[tokio::test]
async fn headers_of_the_client_are_not_passed_on() {
    let api_server = ApiServer::start().await;
    api_server.answer_json(StatusCode::OK, &pods());
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let mut request = get(PODS);
    for (name, value) in [
        ("authorization", "Bearer other"),
        ("impersonate-user", "system:admin"),
        ("connection", "upgrade, authorization"),
        ("upgrade", "websocket"),
        ("accept", "application/json;as=Table"),
        ("x-remote-user", "system:admin"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    client.send(request).await.unwrap();
    let headers = &api_server.seen()[0].headers;
    let mut names: Vec<_> = headers.keys().collect();
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    assert_eq!(names, [ACCEPT, AUTHORIZATION, HOST, USER_AGENT].iter().collect::<Vec<_>>());
    assert_eq!(headers[AUTHORIZATION], "Bearer first");
    assert_eq!(headers[ACCEPT], "application/json");
    assert_eq!(headers[HOST], api_server.address().to_string());
}

#[tokio::test]
async fn patch_of_the_lock_is_passed_on() {
    let api_server = ApiServer::start().await;
    api_server.answer_json(StatusCode::OK, &lock());
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    let body = json!({"metadata": {
        "namespace": "demo", "name": "orders-ha-17-leader", "resourceVersion": "4711",
        "labels": {"pgops.dev/ha": "orders-ha-17"}, "annotations": {"leader": "orders-1", "slots": null},
    }});
    let response = client.send(patch(LEADER, &body.to_string())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let seen = &api_server.seen()[0];
    assert_eq!(seen.line, format!("PATCH {LEADER}"));
    assert_eq!(seen.headers[CONTENT_TYPE], PATCH_TYPE);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&seen.body).unwrap(), body);
}

#[tokio::test]
async fn rotated_token_is_used_by_the_next_request_of_the_same_connection() {
    let api_server = ApiServer::start().await;
    api_server.answer_json(StatusCode::OK, &lock());
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    client.get(LEADER).await.unwrap();
    api_server.set_token("second\n");
    client.get(LEADER).await.unwrap();
    let seen = api_server.seen();
    assert_eq!(seen[0].headers[AUTHORIZATION], "Bearer first");
    assert_eq!(seen[1].headers[AUTHORIZATION], "Bearer second");
    assert_eq!(seen[0].connection, seen[1].connection, "a connection is kept");
}

#[tokio::test]
async fn errors_of_the_api_server_are_passed_on() {
    let api_server = ApiServer::start().await;
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    for code in [400, 401, 403, 404, 409, 422, 429, 500, 503, 504] {
        let code = StatusCode::from_u16(code).unwrap();
        let headers = vec![("retry-after", "1"), ("content-type", "application/json"), ("audit-id", "x")];
        let status = json!({"kind": "Status", "code": code.as_u16(), "message": "why"});
        api_server.answer(Answer::Response(code, headers, status.to_string()));
        let response = client.send(get(LEADER)).await.unwrap();
        assert_eq!(response.status(), code);
        assert_eq!(response.headers()["retry-after"], "1");
        assert!(!response.headers().contains_key("audit-id"));
        drop(response);
        // The whole response was read, so the connection is usable.
        assert_eq!(client.get(LEADER).await.unwrap(), (code, status));
    }
}

#[tokio::test]
async fn connection_that_the_api_server_has_ended_is_replaced() {
    let api_server = ApiServer::start().await;
    let body = lock().to_string();
    api_server.answer(Answer::Response(StatusCode::OK, vec![("connection", "close")], body));
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    for _ in 0..3 {
        client.get(LEADER).await.unwrap();
        api_server.until_connections(0).await;
    }
    assert_eq!(api_server.seen().len(), 3);
}
