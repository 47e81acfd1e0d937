//! Asks the instance in a database's pod about its server. It need not answer: a `NetworkPolicy` may forbid it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use pgops_api::instance_status::{InstanceStatus, STATUS_PATH};
use pgops_api::names;
use tokio::net::TcpStream;

/// Timeout of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer, in bytes: the pod runs programs of users, which may listen on the port instead.
const MAX_ANSWER: usize = 16 << 10;

/// What the instance of the pod reports; none if it does not answer.
pub async fn ask(pod: &Pod) -> Option<InstanceStatus> {
    let ip: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    let answer = tokio::time::timeout(TIMEOUT, get(SocketAddr::from((ip, names::INSTANCE_PORT))));
    match answer.await {
        Ok(Ok(status)) => Some(status),
        Ok(Err(error)) => {
            tracing::debug!(%ip, "failed to ask the instance: {error:#}");
            None
        }
        Err(_) => {
            tracing::debug!(%ip, "failed to ask the instance: no answer");
            None
        }
    }
}

async fn get(address: SocketAddr) -> anyhow::Result<InstanceStatus> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender.
    tokio::spawn(connection);
    let request = Request::get(STATUS_PATH).header(header::HOST, address.to_string()).body(Body::empty())?;
    let response = sender.send_request(request).await?;
    // An instance of an earlier version does not know the path.
    anyhow::ensure!(response.status() == StatusCode::OK, "it answers {}", response.status());
    let body = to_bytes(Body::new(response.into_body()), MAX_ANSWER).await?;
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use axum::Router;
    use axum::routing::get as route;
    use tokio::net::TcpListener;

    async fn serve(answer: String) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route(STATUS_PATH, route(move || async move { answer }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn instance_is_asked_for_its_status() {
        let address = serve(r#"{"serverVersion":"17.11"}"#.to_owned()).await;
        assert_eq!(get(address).await.unwrap().server_version.as_deref(), Some("17.11"));
    }

    #[tokio::test]
    async fn answer_of_another_program_is_not_believed_and_not_read_in_full() {
        let address = serve("<html>".to_owned()).await;
        assert!(get(address).await.is_err());
        let address = serve(format!("{{\"x\":\"{}\"}}", "y".repeat(MAX_ANSWER))).await;
        assert!(get(address).await.is_err());
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        assert!(get(free).await.is_err());
    }
}
