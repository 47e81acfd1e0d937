//! Requests that do not reach the API server.

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use rstest::rstest;
use serde_json::json;

use super::api_server::ApiServer;
use super::client::{Client, request, send_raw};
use super::{LEADER, PODS, start_proxy};
use crate::exchange::MAX_REQUEST;

#[tokio::test]
async fn refusal_is_a_status_that_says_why() {
    let api_server = ApiServer::start().await;
    let mut client = Client::connect(start_proxy(&api_server).await).await;
    // On one connection, which stays usable.
    for _ in 0..2 {
        let (status, body) = client.get("/api/v1/namespaces/demo/secrets").await.unwrap();
        assert_eq!(status, StatusCode::FORBIDDEN);
        let expected = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden", "code": 403,
            "message": "pgops-patroni-proxy refuses the request: the path is none of an object of this database that \
                Patroni uses",
        });
        assert_eq!(body, expected);
    }
    let response = client.send(request("DELETE", LEADER, "")).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert!(api_server.seen().is_empty());
}

#[rstest]
#[case::announced(format!("Content-Length: {}\r\n\r\n{}", MAX_REQUEST + 1, "x".repeat(MAX_REQUEST + 1)))]
#[case::in_chunks(format!(
    "Transfer-Encoding: chunked\r\n\r\n{}",
    format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(MAX_REQUEST / 0x10000 + 1)
))]
#[tokio::test]
async fn huge_body_is_refused_before_it_is_received(#[case] rest: String) {
    let api_server = ApiServer::start().await;
    let proxy = start_proxy(&api_server).await;
    let head = format!(
        "PATCH {LEADER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/strategic-merge-patch+json\r\n"
    );
    let received = send_raw(proxy, [head, rest].concat().as_bytes()).await;
    // Nothing, if the connection was reset before the response was read.
    assert!(received.is_empty() || received.contains("403 Forbidden"), "{received}");
    assert!(api_server.seen().is_empty());
}

#[rstest]
#[case::two_lengths("Content-Length: 0\r\nContent-Length: 50\r\n\r\n")]
#[case::list_of_lengths("Content-Length: 0, 50\r\n\r\n")]
#[case::signed_length("Content-Length: +50\r\n\r\n")]
#[case::unknown_encoding("Transfer-Encoding: gzip\r\n\r\n")]
#[case::chunked_before_another("Transfer-Encoding: chunked, gzip\r\n\r\n")]
#[case::bad_chunk("Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n")]
#[case::space_before_colon("Content-Length : 0\r\n\r\n")]
#[case::null_in_header("X: \0\r\n\r\n")]
#[case::endless_head("X: ")]
#[tokio::test]
async fn malformed_requests_do_not_reach_the_api_server(#[case] rest: &str) {
    let api_server = ApiServer::start().await;
    let proxy = start_proxy(&api_server).await;
    let mut rest = rest.to_owned();
    if !rest.contains("\r\n\r\n") {
        rest += &"x".repeat(1024 * 1024);
    }
    let received = send_raw(proxy, format!("GET {PODS} HTTP/1.1\r\nHost: x\r\n{rest}").as_bytes()).await;
    assert!(!received.contains(" 200 "), "{received}");
    assert!(api_server.seen().is_empty());
}

/// Whatever of these bytes is another request to another parser: it is refused like any other, or the connection ends first.
#[rstest]
#[case::length_and_chunked("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
#[case::body_of_a_get("Content-Length: 60\r\n\r\n")]
#[case::pipelined("\r\n")]
#[tokio::test]
async fn smuggled_request_is_refused(#[case] rest: &str) {
    let api_server = ApiServer::start().await;
    api_server.answer_json(StatusCode::NOT_FOUND, &json!({}));
    let proxy = start_proxy(&api_server).await;
    let smuggled =
        "DELETE /api/v1/namespaces/demo/pods/orders-1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let bytes = format!("GET {LEADER} HTTP/1.1\r\nHost: x\r\n{rest}{smuggled}");
    let received = send_raw(proxy, bytes.as_bytes()).await;
    assert!(received.starts_with("HTTP/1.1 40"), "{received}");
    let seen = api_server.seen();
    assert!(seen.len() <= 1 && seen.iter().all(|seen| seen.line == format!("GET {LEADER}")), "{seen:?}");
    assert!(seen.iter().all(|seen| seen.body.is_empty()));
}

#[tokio::test]
async fn tunnel_is_refused() {
    let api_server = ApiServer::start().await;
    let proxy = start_proxy(&api_server).await;
    let address = api_server.address();
    let bytes = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    assert!(send_raw(proxy, bytes.as_bytes()).await.starts_with("HTTP/1.1 403 "));
    assert!(api_server.seen().is_empty());
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let api_server = ApiServer::start().await;
    let proxy = start_proxy(&api_server).await;
    let mut clients = Vec::new();
    for _ in 0..32 {
        let mut client = Client::connect(proxy).await;
        assert_eq!(client.get("/").await.unwrap().0, StatusCode::FORBIDDEN);
        clients.push(client);
    }
    assert!(Client::connect(proxy).await.get("/").await.is_err());
    assert_eq!(clients[0].get("/").await.unwrap().0, StatusCode::FORBIDDEN);
    clients.pop();
    super::within_deadline(async {
        while Client::connect(proxy).await.get("/").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
