//! What the kubelet asks: is this process alive, and does the server answer a query?

use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use pgops_api::{layout, names};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio_postgres::{Config, NoTls};

use crate::stage::Stage;

/// Longest time that a query may take.
const LIMIT: Duration = Duration::from_secs(2);

struct Health {
    stage: watch::Receiver<Stage>,
    // One at a time: however many ask, they take one connection of the superuser's reserve.
    server: Mutex<Config>,
}

/// Listens on the instance's port, on IPv6 and IPv4, or on IPv4 alone where the node has no IPv6.
pub async fn listen() -> std::io::Result<TcpListener> {
    let port = names::INSTANCE_PORT;
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await,
    }
}

/// `/live` and `/ready`.
pub fn router(stage: watch::Receiver<Stage>, superuser: &str) -> Router {
    let mut server = Config::new();
    server
        .host_path(layout::SOCKET_DIR)
        .port(names::POSTGRES_PORT)
        .user(superuser)
        .dbname("postgres")
        .application_name("pgops-instance");
    let health = Health { stage, server: Mutex::new(server) };
    Router::new()
        .route("/live", get(|| async { "alive" }))
        .route("/ready", get(ready))
        .with_state(Arc::new(health))
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    let stage = health.stage.borrow().clone();
    if stage != Stage::Running {
        return (StatusCode::SERVICE_UNAVAILABLE, stage.to_string());
    }
    let server = health.server.lock().await;
    match tokio::time::timeout(LIMIT, answers(&server)).await {
        Ok(Ok(())) => (StatusCode::OK, "the server answers".to_owned()),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, reason(&error)),
        Err(_) => {
            let text = format!("the server did not answer SELECT 1 within {} s", LIMIT.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

/// A new connection each time: a server that answers old ones and takes no new ones is not ready.
async fn answers(server: &Config) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = server.connect(NoTls).await?;
    // It ends with `client`; its failure is the query's failure too.
    tokio::spawn(connection);
    client.query_one("SELECT 1", &[]).await?.try_get::<_, i32>(0).map(drop)
}

/// The server's own words, such as "the database system is starting up".
fn reason(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(server), _) => format!("the server says: {}", server.message()),
        (None, Some(source)) => format!("the server cannot be reached: {source}"),
        (None, None) => format!("the server cannot be reached: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Refusal;
    use crate::stage::Board;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn is_alive_but_not_ready_and_says_what_it_waits_for() {
        let (board, reader) = Board::new();
        let router = router(reader, "postgres");
        board.set(Stage::WaitingForVersion { own: 13, serving: 17 });
        assert_eq!(ask(&router, "/live").await.0, StatusCode::OK);
        let (status, text) = ask(&router, "/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("major version 17 serves, and this pod has 13"), "{text}");
        board.set(Stage::Refused(Refusal::InitialisedBefore));
        assert!(ask(&router, "/ready").await.1.contains("restore the volume"));
    }
}
