//! The plain HTTP listener for the kubelet's probes and for Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::get;
use pgops_certs::Certificates;
use pgops_http::{Limits, Listener, OPEN_METRICS};
use pgops_kube::Readiness;
use pgops_kube::shutdown::CancellationToken;
use tokio::net::TcpListener;

use crate::cache::Caches;
use crate::metrics::Metrics;

/// Serves plain HTTP until the process ends.
pub async fn serve(bind: SocketAddr, router: Router, metrics: Metrics) -> anyhow::Result<()> {
    let socket =
        pgops_http::bind(bind).await.with_context(|| format!("failed to listen on --health-bind {bind}"))?;
    serve_on(socket, router, metrics).await;
    Ok(())
}

async fn serve_on(socket: TcpListener, router: Router, metrics: Metrics) {
    let listener = Listener::new("plain", router, Limits::PROBES).with_observer(metrics);
    listener.serve(socket, CancellationToken::new()).await;
}

/// The routes `/livez`, `/readyz` and `/metrics`.
pub fn router(
    readiness: Readiness,
    caches: Arc<Caches>,
    certificates: Certificates,
    metrics: Metrics,
) -> Router {
    let text = async move || ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.text(&caches, &certificates));
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness)
        .route("/metrics", get(text))
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let unmet = readiness.unmet();
    if unmet.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", unmet.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::response::Response;
    use pgops_testing::assert_clients_are_limited;
    use tower::ServiceExt;

    async fn get(router: Router, path: &str) -> Response {
        router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn readiness_probe_names_the_unmet_conditions() {
        let readiness = Readiness::requiring(&["certificate"]);
        let caches = Arc::new(Caches::new().0);
        let probes = router(readiness.clone(), caches, Certificates::default(), Metrics::default());
        let response = get(probes.clone(), "/readyz").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = to_bytes(response.into_body(), 1024).await.unwrap();
        assert_eq!(&body[..], b"not ready: certificate\n");
        assert_eq!(get(probes.clone(), "/livez").await.status(), StatusCode::OK);
        readiness.set_met("certificate");
        assert_eq!(get(probes, "/readyz").await.status(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_greedy_clients_of_probes_are_cut_off() {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let metrics = Metrics::default();
        tokio::spawn(serve_on(socket, Router::new(), metrics.clone()));
        assert_clients_are_limited(address, Limits::PROBES.connections).await;
        let text = metrics.text(&Caches::new().0, &Certificates::default());
        for reason in ["idle", "head", "limit"] {
            let counted = format!("pgops_connections_closed_total{{listener=\"plain\",reason=\"{reason}\"}}");
            assert!(text.contains(&counted), "{text}");
        }
    }
}
