//! `/metrics`: what monitoring must know of the server and its volume, and nothing that users have named.
//!
//! Any client in the cluster may ask, so an answer is used for some seconds, and one session at most is open for it.
//! Layers, each of which uses only those before it: `statistics` (what the server knows of itself), `retired` (the sizes of
//! old data), `text` (the format), `collector` (collects at intervals).

mod collector;
mod retired;
mod statistics;
mod text;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pgops_http::OPEN_METRICS;
use tokio::sync::Mutex;

pub use collector::Collector;

/// The route `/metrics`.
pub fn router(collector: Collector) -> Router {
    Router::new().route("/metrics", get(respond)).with_state(Arc::new(Mutex::new(collector)))
}

async fn respond(State(collector): State<Arc<Mutex<Collector>>>) -> Response {
    let mut collector = collector.lock_owned().await;
    if let Some(text) = collector.recent() {
        return ok(text);
    }
    // A task of its own: otherwise each client that leaves at once would have the next one open another session.
    match tokio::spawn(async move { collector.collect().await }).await {
        Ok(text) => ok(text),
        Err(error) => {
            tracing::warn!("failed to collect metrics: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn ok(text: String) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use pgops_api::names;
    use pgops_volume::Volume;
    use tokio::net::UnixListener;
    use tower::ServiceExt;

    use crate::session::OwnSessions;
    use crate::stage::{Stage, StageReporter};

    /// A server that accepts connections and never answers, and how many it has accepted.
    fn silent_server(directory: &std::path::Path) -> Arc<AtomicUsize> {
        let path = directory.join(format!(".s.PGSQL.{}", names::POSTGRES_PORT));
        let listener = UnixListener::bind(path).unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                open.push(stream);
            }
        });
        accepted
    }

    fn router_at(directory: &std::path::Path, stage: Stage) -> Router {
        let (reporter, reader) = StageReporter::new();
        reporter.report(stage);
        let sessions = OwnSessions::at(directory, "postgres", 17);
        router(Collector::new(reader, sessions, Volume::at(directory), 17))
    }

    async fn scrape(router: &Router) -> String {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn clients_that_leave_at_once_open_one_session_together() {
        let directory = tempfile::tempdir().unwrap();
        let accepted = silent_server(directory.path());
        let router = router_at(directory.path(), Stage::Running);
        for _ in 0..20 {
            assert!(tokio::time::timeout(Duration::from_millis(10), scrape(&router)).await.is_err());
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn scrapes_within_some_seconds_get_the_same_answer() {
        let directory = tempfile::tempdir().unwrap();
        let router = router_at(directory.path(), Stage::Running);
        // Nothing listens: each collection would try to connect.
        let first = scrape(&router).await;
        let accepted = silent_server(directory.path());
        for _ in 0..10 {
            assert_eq!(scrape(&router).await, first);
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn server_that_is_not_started_is_not_asked_and_its_volume_is_measured() {
        let directory = tempfile::tempdir().unwrap();
        let accepted = silent_server(directory.path());
        let router = router_at(directory.path(), Stage::WaitingForVersion { own: 17, active: 18 });
        let text = scrape(&router).await;
        assert!(text.contains("pgops_instance_up 0\n"), "{text}");
        assert!(text.contains("pgops_instance_volume_size_bytes "), "{text}");
        assert_eq!(accepted.load(Ordering::SeqCst), 0);
    }
}
