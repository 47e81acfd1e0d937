//! A client, as Patroni is one.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::within_deadline;
use crate::record::PATCH_TYPE;

/// One connection to the proxy. It ends when it is dropped.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Client {
    pub async fn connect(proxy: SocketAddr) -> Self {
        let stream = TcpStream::connect(proxy).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(async { drop(connection.await) });
        Self { sender, _driver: driver }
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        within_deadline(async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        })
        .await
    }

    /// A GET with the whole response, parsed.
    pub async fn get(&mut self, target: &str) -> hyper::Result<(StatusCode, Value)> {
        let response = self.send(get(target)).await?;
        let status = response.status();
        let body = within_deadline(response.into_body().collect()).await?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap()))
    }
}

pub fn get(target: &str) -> Request<Full<Bytes>> {
    request("GET", target, "")
}

pub fn patch(target: &str, body: &str) -> Request<Full<Bytes>> {
    request("PATCH", target, body)
}

pub fn request(method: &str, target: &str, body: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(target)
        .header("host", "127.0.0.1:8009")
        .header("user-agent", "Patroni/4.1.5 Python/3.13 Linux")
        .header("accept-encoding", "identity")
        .header("content-type", PATCH_TYPE)
        .body(Full::from(body.to_owned()))
        .unwrap()
}

/// Sends these bytes, and returns all that comes until the end of the connection.
pub async fn send_raw(proxy: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    // The proxy may have answered and ended the connection before all is sent.
    let _ = stream.write_all(bytes).await;
    let mut received = Vec::new();
    let _ = within_deadline(stream.read_to_end(&mut received)).await;
    String::from_utf8(received).unwrap()
}
