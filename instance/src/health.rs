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

/// Longest time that an answer may take; the kubelet waits for 3 s.
const LIMIT: Duration = Duration::from_secs(2);
/// First pause between two questions to a server that has not answered yet; each is twice the one before,
/// since a server that recovers logs every question.
const PAUSE: Duration = Duration::from_millis(20);

struct Health {
    stage: watch::Receiver<Stage>,
    // One at a time: however many ask, they take one connection of the superuser's reserve.
    server: Mutex<Server>,
}

/// The server, as a client sees it.
struct Server {
    config: Config,
    /// Whether it has answered since this process was started.
    has_answered: bool,
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
    let mut config = Config::new();
    config
        .host_path(layout::SOCKET_DIR)
        .port(names::POSTGRES_PORT)
        .user(superuser)
        .dbname("postgres")
        .application_name("pgops-instance");
    let health = Health { stage, server: Mutex::new(Server { config, has_answered: false }) };
    Router::new()
        .route("/live", get(|| async { "alive" }))
        .route("/ready", get(ready))
        .with_state(Arc::new(health))
}

/// As long as the server has never answered, the answer to the kubelet waits for it: a "no" would be mended by
/// the next question at the earliest, a second later, and until then no client is let in.
async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    let mut stage = health.stage.clone();
    let mut server = health.server.lock().await;
    let mut why = String::new();
    let answered = tokio::time::timeout(LIMIT, async {
        let mut pause = PAUSE;
        loop {
            let now = stage.borrow_and_update().clone();
            if now == Stage::Running {
                why = format!("the server did not answer SELECT 1 within {} s", LIMIT.as_secs());
                match answers(&server.config).await {
                    Ok(()) => return true,
                    Err(error) => why = reason(&error),
                }
            } else {
                why = now.to_string();
            }
            if server.has_answered || now == Stage::Stopping {
                return false;
            }
            tokio::select! {
                Ok(()) = stage.changed() => pause = PAUSE,
                () = tokio::time::sleep(pause) => pause *= 2,
            }
        }
    });
    if answered.await.unwrap_or(false) {
        server.has_answered = true;
        return (StatusCode::OK, "the server answers".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, why)
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
    use tokio::time::Instant;
    use tower::ServiceExt;

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
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

    #[tokio::test(start_paused = true)]
    async fn the_answer_waits_for_a_change_and_not_for_ever() {
        let (board, reader) = Board::new();
        let router = router(reader, "postgres");
        let began = Instant::now();
        assert_eq!(ask(&router, "/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(began.elapsed(), LIMIT);

        let began = Instant::now();
        let second = Duration::from_secs(1);
        let stop = async {
            tokio::time::sleep(second).await;
            board.set(Stage::Stopping);
        };
        let ((status, text), ()) = tokio::join!(ask(&router, "/ready"), stop);
        assert_eq!((status, began.elapsed()), (StatusCode::SERVICE_UNAVAILABLE, second));
        assert!(text.contains("stopping"), "{text}");
    }
}
