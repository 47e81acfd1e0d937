//! Slow clients of a plain listener on loopback, and too many of them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::routing::post;
use axum::{Extension, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Limits, Listener, Peer};

/// The limit under test. All others are long.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_mins(10);
/// Maximum time until a client must have been cut off, however busy the machine is.
const DEADLINE: Duration = Duration::from_mins(1);

const PATIENT: Limits = Limits {
    connections: 100,
    buffer: 16 * 1024,
    handshake: Duration::ZERO,
    head: LONG,
    request: LONG,
    idle: LONG,
};

/// The bytes of a response that fits into no socket's buffer.
const LARGE: usize = 64 * 1024 * 1024;

/// Starts a listener, and connects to it.
async fn connect(limits: Limits) -> TcpStream {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let router = Router::new()
        .route("/", post(|_: Bytes| async { "answered" }))
        .route("/large", post(|| async { vec![0; LARGE] }))
        .route("/never", post(std::future::pending::<()>));
    tokio::spawn(Listener::new("plain", router, limits).serve(socket, CancellationToken::new()));
    TcpStream::connect(address).await.unwrap()
}

/// Sends the text byte by byte, each long before the limit, and asserts that the server closes the connection after the
/// limit. The last byte is repeated without end.
async fn assert_cut_off(stream: TcpStream, text: &[u8]) {
    let start = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let closed = async {
        let mut bytes = [0; 64];
        // A response is skipped: what counts is the end.
        while matches!(reader.read(&mut bytes).await, Ok(1..)) {}
    };
    let send = async {
        for byte in text.iter().chain(std::iter::repeat(text.last().unwrap_or(&b' '))) {
            if !text.is_empty() && writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            let _ = writer.flush().await;
            sleep(SHORT / 20).await;
        }
    };
    timeout(DEADLINE, async {
        tokio::select! { () = closed => {}, () = send => {} }
    })
    .await
    .expect("the client was not cut off");
    // The phase may have begun before this function.
    assert!(start.elapsed() >= SHORT / 2, "cut off after {:?}", start.elapsed());
}

#[tokio::test]
async fn client_that_sends_a_head_slowly_is_cut_off() {
    let client = connect(Limits { head: SHORT, ..PATIENT }).await;
    assert_cut_off(client, b"POST / HTTP/1.1\r\nHost: pgops\r\nSlow: x").await;
}

#[tokio::test]
async fn client_that_sends_a_body_slowly_is_cut_off() {
    let mut client = connect(Limits { request: SHORT, ..PATIENT }).await;
    client.write_all(b"POST / HTTP/1.1\r\nHost: pgops\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
    assert_cut_off(client, b"x").await;
}

#[tokio::test]
async fn request_that_is_not_answered_in_time_is_cut_off() {
    let mut client = connect(Limits { request: SHORT, ..PATIENT }).await;
    client.write_all(b"POST /never HTTP/1.1\r\nHost: pgops\r\n\r\n").await.unwrap();
    assert_cut_off(client, b"").await;
}

#[tokio::test]
async fn idle_client_is_cut_off() {
    let mut client = connect(Limits { idle: SHORT, ..PATIENT }).await;
    client.write_all(b"POST / HTTP/1.1\r\nHost: pgops\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert_ne!(client.read(&mut [0; 1024]).await.unwrap(), 0, "the first request is answered");
    assert_cut_off(client, b"").await;
}

#[tokio::test]
async fn client_that_does_not_read_its_response_is_cut_off() {
    let mut client = connect(Limits { idle: SHORT, ..PATIENT }).await;
    client.write_all(b"POST /large HTTP/1.1\r\nHost: pgops\r\n\r\n").await.unwrap();
    sleep(SHORT * 5).await;
    let mut received = 0;
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = client.read(&mut bytes).await {
        received += read;
    }
    assert!(received < LARGE, "the whole response was sent");
}

#[tokio::test]
async fn client_with_an_endless_head_is_cut_off() {
    let mut client = connect(PATIENT).await;
    client.write_all(b"POST / HTTP/1.1\r\nHost: pgops\r\nEndless: ").await.unwrap();
    let chunk = [b'x'; 4096];
    let sent = timeout(DEADLINE, async {
        let mut sent = 0;
        while client.write_all(&chunk).await.is_ok() && client.flush().await.is_ok() && sent < LARGE {
            sent += chunk.len();
        }
        sent
    });
    assert!(sent.await.unwrap() < LARGE);
}

#[tokio::test]
async fn client_over_ipv4_is_known_by_its_ipv4_address() {
    let socket = crate::bind((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, socket.local_addr().unwrap().port()));
    let peer = post(|Extension(peer): Extension<Peer>| async move { peer.address.to_string() });
    let router = Router::new().route("/", peer);
    tokio::spawn(Listener::new("plain", router, PATIENT).serve(socket, CancellationToken::new()));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"POST / HTTP/1.1\r\nHost: pgops\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("\r\n\r\n127.0.0.1"), "{response}");
}
