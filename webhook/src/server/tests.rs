//! Clients of the real TLS listener on loopback: slow ones, too many of them, with and without certificates.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::routing::post;
use axum::{Extension, Router};
use pgops_kube::shutdown::CancellationToken;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::fixtures::{Client, ClientCa, Pki};
use super::limits::Limits;
use super::listener::Listener;
use crate::metrics::Metrics;
use crate::peer::Peer;

const API_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// The limit under test. All others are long.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_mins(10);
/// Maximum time until a client must have been cut off, however busy the machine is.
const DEADLINE: Duration = Duration::from_mins(1);

const PATIENT: Limits = Limits { connections: 100, handshake: LONG, head: LONG, request: LONG, idle: LONG };

/// The bytes of a response that fits into no socket's buffer.
const LARGE: usize = 64 * 1024 * 1024;

fn router() -> Router {
    Router::new()
        .route("/", post(|_: Bytes| async { "answered" }))
        .route("/peer", post(|Extension(peer): Extension<Peer>| async move { format!("{peer:?}") }))
        .route("/large", post(|| async { vec![0; LARGE] }))
        .route("/never", post(std::future::pending::<()>))
}

/// Starts the listener.
async fn start(limits: Limits, tls: rustls::ServerConfig) -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = Listener::new("admission", router(), limits, Metrics::default())
        .with_tls(TlsAcceptor::from(std::sync::Arc::new(tls)));
    tokio::spawn(listener.serve(socket, CancellationToken::new()));
    address
}

/// Starts the listener without certificates of clients, and connects to it.
async fn connect(limits: Limits) -> Client {
    let pki = Pki::new();
    let address = start(limits, pki.server(None)).await;
    Client::connect(API_SERVER, address, &pki.client(None)).await.unwrap()
}

/// Sends the text byte by byte, each long before the limit, and asserts that the server closes the connection after the
/// limit. The last byte is repeated without end.
async fn assert_cut_off(stream: impl AsyncRead + AsyncWrite + Unpin, text: &[u8]) {
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
async fn client_that_does_not_begin_the_handshake_is_cut_off() {
    let address = start(Limits { handshake: SHORT, ..PATIENT }, Pki::new().server(None)).await;
    assert_cut_off(TcpStream::connect(address).await.unwrap(), b"").await;
}

#[tokio::test]
async fn client_that_sends_its_hello_slowly_is_cut_off() {
    let address = start(Limits { handshake: SHORT, ..PATIENT }, Pki::new().server(None)).await;
    // The header of a TLS record of 16 KiB with a ClientHello.
    let hello = [0x16, 0x03, 0x01, 0x3f, 0x00, 0x01, 0x00, 0x3e, 0xf0, 0x03, 0x03, 0x00];
    assert_cut_off(TcpStream::connect(address).await.unwrap(), &hello).await;
}

#[tokio::test]
async fn client_that_sends_a_head_slowly_is_cut_off() {
    let client = connect(Limits { head: SHORT, ..PATIENT }).await;
    assert_cut_off(client.0, b"POST / HTTP/1.1\r\nHost: pgops\r\nSlow: x").await;
}

#[tokio::test]
async fn client_that_sends_a_body_slowly_is_cut_off() {
    let mut client = connect(Limits { request: SHORT, ..PATIENT }).await;
    client.0.write_all(b"POST / HTTP/1.1\r\nHost: pgops\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
    assert_cut_off(client.0, b"x").await;
}

#[tokio::test]
async fn request_that_is_not_answered_in_time_is_cut_off() {
    let mut client = connect(Limits { request: SHORT, ..PATIENT }).await;
    client.0.write_all(b"POST /never HTTP/1.1\r\nHost: pgops\r\n\r\n").await.unwrap();
    assert_cut_off(client.0, b"").await;
}

#[tokio::test]
async fn idle_client_is_cut_off() {
    let mut client = connect(Limits { idle: SHORT, ..PATIENT }).await;
    assert!(client.post("x").await.is_some());
    assert_cut_off(client.0, b"").await;
}

#[tokio::test]
async fn client_that_does_not_read_its_response_is_cut_off() {
    let mut client = connect(Limits { idle: SHORT, ..PATIENT }).await;
    client.0.write_all(b"POST /large HTTP/1.1\r\nHost: pgops\r\n\r\n").await.unwrap();
    sleep(SHORT * 5).await;
    let mut received = 0;
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = client.0.read(&mut bytes).await {
        received += read;
    }
    assert!(received < LARGE, "the whole response was sent");
}

#[tokio::test]
async fn client_with_an_endless_head_is_cut_off() {
    let mut client = connect(PATIENT).await;
    client.0.write_all(b"POST / HTTP/1.1\r\nHost: pgops\r\nEndless: ").await.unwrap();
    let chunk = [b'x'; 4096];
    let sent = timeout(DEADLINE, async {
        let mut sent = 0;
        while client.0.write_all(&chunk).await.is_ok() && client.0.flush().await.is_ok() && sent < LARGE {
            sent += chunk.len();
        }
        sent
    });
    assert!(sent.await.unwrap() < LARGE);
}

/// The clients whose connections are still open.
async fn open(clients: &mut [Client]) -> usize {
    let mut open = 0;
    for client in clients {
        let closed = timeout(Duration::from_millis(5), client.0.read(&mut [0])).await;
        open += usize::from(closed.is_err());
    }
    open
}

#[tokio::test]
async fn one_client_with_many_connections_does_not_displace_others() {
    let pki = Pki::new();
    let tls = pki.client(None);
    let limits = Limits { connections: 8, ..PATIENT };
    let address = start(limits, pki.server(None)).await;
    let mut api_server = Client::connect(API_SERVER, address, &tls).await.unwrap();
    assert!(api_server.post("first").await.is_some());

    let mut strangers = Vec::new();
    for _ in 0..5 * limits.connections {
        // The server may close a connection even during its handshake.
        strangers.extend(Client::connect(STRANGER, address, &tls).await);
    }
    assert!(api_server.post("on the old connection").await.is_some());
    let mut another = Client::connect(API_SERVER, address, &tls).await.unwrap();
    assert!(another.post("on a new connection").await.is_some());
    assert!(open(&mut strangers).await <= limits.connections - 2);
}

#[tokio::test]
async fn requests_in_progress_do_not_keep_another_client_out() {
    let pki = Pki::new();
    let tls = pki.client(None);
    let limits = Limits { connections: 4, ..PATIENT };
    let address = start(limits, pki.server(None)).await;
    let mut strangers = Vec::new();
    for _ in 0..limits.connections {
        let mut client = Client::connect(STRANGER, address, &tls).await.unwrap();
        client.0.write_all(b"POST /never HTTP/1.1\r\nHost: pgops\r\n\r\n").await.unwrap();
        strangers.push(client);
    }
    let mut api_server = Client::connect(API_SERVER, address, &tls).await.unwrap();
    assert!(api_server.post("x").await.is_some());
}

/// The response to a request, if the server lets the client connect. In TLS 1.3 the client learns only then that its
/// certificate was rejected.
async fn try_post(address: SocketAddr, tls: &ClientConfig) -> Option<String> {
    Client::connect(API_SERVER, address, tls).await.ok()?.post("x").await
}

#[tokio::test]
async fn client_needs_a_certificate_of_the_ca_for_clients() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.crt");
    let authority = ClientCa::new();
    std::fs::write(&file, authority.certificate.pem()).unwrap();
    let pki = Pki::new();
    let address = start(PATIENT, pki.server(Some(&file))).await;
    assert_eq!(try_post(address, &pki.client(None)).await, None, "no certificate");
    assert_eq!(try_post(address, &pki.client(Some(&ClientCa::new()))).await, None, "of another CA");
    assert!(try_post(address, &pki.client(Some(&authority))).await.is_some());
}

#[tokio::test]
async fn handler_learns_whether_the_client_is_verified() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.crt");
    let authority = ClientCa::new();
    std::fs::write(&file, authority.certificate.pem()).unwrap();
    let pki = Pki::new();
    for (clients, certified_by, expected) in [
        (None, None, "Unverified"),
        (None, Some(&authority), "Unverified"),
        (Some(&*file), Some(&authority), "Verified"),
    ] {
        let address = start(PATIENT, pki.server(clients)).await;
        let mut client = Client::connect(STRANGER, address, &pki.client(certified_by)).await.unwrap();
        client.0.write_all(b"POST /peer HTTP/1.1\r\nHost: pgops\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut response = String::new();
        client.0.read_to_string(&mut response).await.unwrap();
        let peer = format!("Peer {{ address: {STRANGER}, identity: {expected} }}");
        assert!(response.ends_with(&peer), "{response}");
    }
}
