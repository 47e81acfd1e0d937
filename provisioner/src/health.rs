//! The probes of the kubelet, and the metrics for Prometheus.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use pgops_http::{Limits, Listener, OPEN_METRICS};
use pgops_kube::shutdown::CancellationToken;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// `/livez`, `/readyz`: whether the API server has answered so far, and `/metrics`.
pub fn router(connected: watch::Receiver<bool>, metrics: Metrics) -> Router {
    let ready = move || async move {
        if *connected.borrow() {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the API server has not answered yet")
        }
    };
    let text = move || async move { ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.text()) };
    Router::new()
        .route("/livez", get(|| async { "alive" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(text))
}

/// Answers until the process ends.
pub async fn serve(
    address: SocketAddr,
    connected: watch::Receiver<bool>,
    metrics: Metrics,
) -> std::io::Result<()> {
    serve_on(pgops_http::bind(address).await?, router(connected, metrics)).await;
    Ok(())
}

async fn serve_on(socket: TcpListener, router: Router) {
    Listener::new("plain", router, Limits::PROBES).serve(socket, CancellationToken::new()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use pgops_testing::assert_clients_are_limited;
    use tower::ServiceExt;

    #[tokio::test]
    async fn replica_is_ready_once_the_api_server_has_answered() {
        let (sender, connected) = watch::channel(false);
        let router = router(connected, Metrics::default());
        let ask = |path: &str| router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
        assert_eq!(ask("/livez").await.unwrap().status(), StatusCode::OK);
        assert_eq!(ask("/readyz").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        sender.send(true).unwrap();
        assert_eq!(ask("/readyz").await.unwrap().status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_say_whether_the_replica_leads() {
        let metrics = Metrics::default();
        let router = router(watch::channel(true).1, metrics.clone());
        let text = async || {
            let request = Request::get("/metrics").body(Body::empty()).unwrap();
            let body = router.clone().oneshot(request).await.unwrap().into_body();
            String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap()
        };
        assert!(text().await.contains("pgops_provisioner_leader 0\n"));
        metrics.set_leading();
        assert!(text().await.contains("pgops_provisioner_leader 1\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_greedy_clients_of_probes_are_cut_off() {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(serve_on(socket, Router::new()));
        assert_clients_are_limited(address, Limits::PROBES.connections).await;
    }
}
