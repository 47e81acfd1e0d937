//! Clients of a listener that behave badly.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Time of the paused clock after which every such client must have been cut off.
const DEADLINE: Duration = Duration::from_hours(1);

/// Asserts that a listener for plain HTTP cuts off a client that sends nothing, one that sends the head of its request
/// slowly, and the first of more clients than `connections`. The caller's clock must be paused.
pub async fn assert_clients_are_limited(address: SocketAddr, connections: usize) {
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert!(is_cut_off(&mut silent, b"").await, "a client that sends nothing was not cut off");

    let mut slow = TcpStream::connect(address).await.unwrap();
    assert!(is_cut_off(&mut slow, b"GET / HTTP/1.1\r\nSlow: ").await, "a slow client was not cut off");

    let mut clients = Vec::new();
    for _ in 0..=connections {
        let mut client = TcpStream::connect(address).await.unwrap();
        // The answer shows that the listener has accepted it.
        client.write_all(b"GET / HTTP/1.1\r\nHost: pod\r\n\r\n").await.unwrap();
        let mut answer = [0; 1024];
        assert_ne!(client.read(&mut answer).await.unwrap(), 0, "a new client was refused");
        clients.push(client);
    }
    assert_eq!(clients[0].read(&mut [0]).await.unwrap_or(0), 0, "the listener has too many connections");
}

/// Sends the text, and then a byte each second; returns whether the server closes the connection meanwhile.
async fn is_cut_off(client: &mut TcpStream, text: &[u8]) -> bool {
    let (mut reader, mut writer) = client.split();
    let send = async {
        if writer.write_all(text).await.is_err() {
            return;
        }
        while !text.is_empty() && writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut bytes = [0; 1024];
    let closed = async { while matches!(reader.read(&mut bytes).await, Ok(1..)) {} };
    timeout(DEADLINE, async {
        tokio::select! { () = send => {}, () = closed => {} }
    })
    .await
    .is_ok()
}
