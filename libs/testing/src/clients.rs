//! Clients of a listener that behave badly.

use std::io::{Read, Write};
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
        clients.push(tokio::task::spawn_blocking(move || answered(address)).await.unwrap());
        // The first one is idle for the longest time.
        sleep(Duration::from_millis(1)).await;
    }
    let mut first = TcpStream::from_std(clients.swap_remove(0)).unwrap();
    assert_eq!(first.read(&mut [0]).await.unwrap_or(0), 0, "the listener has too many connections");
}

/// A client that the listener has accepted, as its answer shows. It runs on a thread of its own, during which the paused clock
/// does not advance: otherwise the limits could pass before the kernel has delivered the request.
fn answered(address: SocketAddr) -> std::net::TcpStream {
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: pod\r\n\r\n").unwrap();
    assert_ne!(client.read(&mut [0; 1024]).unwrap(), 0, "a new client was refused");
    client.set_nonblocking(true).unwrap();
    client
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
