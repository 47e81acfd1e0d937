//! The probes of the kubelet.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
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
    axum::serve(TcpListener::bind(address).await?, router(connected)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
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
}
