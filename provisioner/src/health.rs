//! The probes of the kubelet.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use pgops_http::{Limits, Listener};
use pgops_kube::shutdown::CancellationToken;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// `/livez`, and `/readyz`: whether the API server has answered so far.
pub fn router(connected: watch::Receiver<bool>) -> Router {
    let ready = move || async move {
        if *connected.borrow() {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the API server has not answered yet")
        }
    };
    Router::new().route("/livez", get(|| async { "alive" })).route("/readyz", get(ready))
}

/// Answers until the process ends.
pub async fn serve(address: SocketAddr, connected: watch::Receiver<bool>) -> std::io::Result<()> {
    serve_on(TcpListener::bind(address).await?, router(connected)).await;
    Ok(())
}

async fn serve_on(socket: TcpListener, router: Router) {
    Listener::new("plain", router, Limits::PROBES).serve(socket, CancellationToken::new()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use axum::body::Body;
    use axum::http::Request;
    use pgops_testing::assert_clients_are_limited;
    use tower::ServiceExt;

    #[tokio::test]
    async fn replica_is_ready_once_the_api_server_has_answered() {
        let (sender, connected) = watch::channel(false);
        let router = router(connected);
        let ask = |path: &str| router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
        assert_eq!(ask("/livez").await.unwrap().status(), StatusCode::OK);
        assert_eq!(ask("/readyz").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        sender.send(true).unwrap();
        assert_eq!(ask("/readyz").await.unwrap().status(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_greedy_clients_of_probes_are_cut_off() {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(serve_on(socket, Router::new()));
        assert_clients_are_limited(address, Limits::PROBES.connections).await;
    }
}
