//! The probe of the kubelet.
//!
//! It says that Patroni can connect, and nothing of the API server: a pod that is not ready gets no clients, and one that is
//! started again has lost its watches. Neither helps while the API server is away, and its database serves meanwhile.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use pgops_http::{Limits, Listener};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Binds the socket, after that for Patroni.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    pgops_http::bind(address).await
}

/// Answers until the process ends.
pub async fn serve(socket: TcpListener) {
    let router = Router::new().route("/ready", get(|| async { "the proxy listens" }));
    Listener::new("plain", router, Limits::PROBES).serve(socket, CancellationToken::new()).await;
}
