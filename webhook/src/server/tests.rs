//! Clients of the TLS listener on loopback: slow handshakes, too many connections, with and without certificates.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::routing::post;
use axum::{Extension, Router};
use pgops_http::{Limits, Listener, Peer};
use pgops_kube::shutdown::CancellationToken;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::fixtures::{Client, ClientCa, Pki};

const API_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// The limit under test. All others are long.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_mins(10);
/// Maximum time until a client must have been cut off, however busy the machine is.
const DEADLINE: Duration = Duration::from_mins(1);

const PATIENT: Limits =
    Limits { connections: 100, buffer: 64 * 1024, handshake: LONG, head: LONG, request: LONG, idle: LONG };

fn router() -> Router {
    Router::new()
        .route("/", post(|_: Bytes| async { "answered" }))
        .route("/peer", post(|Extension(peer): Extension<Peer>| async move { format!("{peer:?}") }))
        .route("/never", post(std::future::pending::<()>))
}

/// Starts the listener.
async fn start(limits: Limits, tls: rustls::ServerConfig) -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener =
        Listener::new("admission", router(), limits).with_tls(TlsAcceptor::from(std::sync::Arc::new(tls)));
    tokio::spawn(listener.serve(socket, CancellationToken::new()));
    address
}

/// Asserts that the server closes the connection of a client that sends these bytes and then nothing.
async fn assert_cut_off(address: SocketAddr, bytes: &[u8]) {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(bytes).await.unwrap();
    let closed = async { while matches!(client.read(&mut [0; 64]).await, Ok(1..)) {} };
    timeout(DEADLINE, closed).await.expect("the client was not cut off");
}

#[tokio::test]
async fn client_that_does_not_begin_the_handshake_is_cut_off() {
    let address = start(Limits { handshake: SHORT, ..PATIENT }, Pki::new().server(None)).await;
    assert_cut_off(address, b"").await;
}

#[tokio::test]
async fn client_that_does_not_complete_its_hello_is_cut_off() {
    let address = start(Limits { handshake: SHORT, ..PATIENT }, Pki::new().server(None)).await;
    // The header of a TLS record of 16 KiB with a ClientHello.
    let hello = [0x16, 0x03, 0x01, 0x3f, 0x00, 0x01, 0x00, 0x3e, 0xf0, 0x03, 0x03, 0x00];
    assert_cut_off(address, &hello).await;
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
    // The last ones may be about to be closed.
    let displaced = async { while open(&mut strangers).await > limits.connections - 2 {} };
    timeout(DEADLINE, displaced).await.expect("too many strangers are connected");
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
