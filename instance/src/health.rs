//! The probes of the kubelet: whether this process is alive, and whether the server answers a query. The same listener
//! answers the provisioner.

use std::error::Error;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use pgops_api::instance_status::STATUS_PATH;
use pgops_api::names;
use pgops_http::{Limits, Listener};
use pgops_kube::shutdown::CancellationToken;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use crate::report::{self, StatusReport};
use crate::server::Servers;
use crate::session::{OwnSession, OwnSessions};
use crate::stage::Stage;

/// Timeout of an answer; the kubelet waits for 3 s.
const TIMEOUT: Duration = Duration::from_secs(2);
/// First pause between two queries to a server that has not answered yet. Each further pause is twice as long, since
/// a server that recovers logs every connection.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

struct Health {
    stage: watch::Receiver<Stage>,
    report: Arc<StatusReport>,
    // One query at a time: however many probes there are, they use one of the connections reserved for superusers.
    server: Mutex<Server>,
}

/// The server, as a client sees it.
struct Server {
    sessions: OwnSessions,
    servers: Servers,
    /// Whether it has answered since this process was started.
    has_answered: bool,
}

/// Listens on the instance's port, on IPv6 and IPv4, or on IPv4 alone if the node has no IPv6.
pub async fn listen() -> std::io::Result<TcpListener> {
    pgops_http::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, names::INSTANCE_PORT))).await
}

/// Answers until the process ends.
pub async fn serve(socket: TcpListener, router: Router) {
    Listener::new("plain", router, Limits::PROBES).serve(socket, CancellationToken::new()).await;
}

/// `/live`, `/ready` and `/status`.
pub fn router(
    stage: watch::Receiver<Stage>,
    sessions: OwnSessions,
    servers: Servers,
    report: Arc<StatusReport>,
) -> Router {
    let status = Router::new().route(STATUS_PATH, get(report::respond)).with_state(report.clone());
    let health =
        Health { stage, report, server: Mutex::new(Server { sessions, servers, has_answered: false }) };
    Router::new()
        .route("/live", get(|| async { "alive" }))
        .route("/ready", get(ready))
        .with_state(Arc::new(health))
        .merge(status)
}

/// Until the server has answered for the first time, the response waits for it: a negative response would be
/// corrected by the next probe at the earliest, a second later, and until then no client can connect.
async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    let mut stage = health.stage.clone();
    let mut reason = reason_of_silence(&stage.borrow());
    let answered = tokio::time::timeout(TIMEOUT, async {
        // Within the timeout: behind the probes of other clients, the kubelet would wait for the timeout of each.
        let mut server = health.server.lock().await;
        let mut pause = FIRST_PAUSE;
        loop {
            let now = stage.borrow_and_update().clone();
            reason = reason_of_silence(&now);
            if now == Stage::Running {
                match server.query().await {
                    Ok(version) => {
                        server.has_answered = true;
                        if let Some(version) = version {
                            health.report.set_server_version(version);
                        }
                        return true;
                    }
                    Err(unready) => reason = unready.to_string(),
                }
            }
            if server.has_answered || now == Stage::Stopping {
                return false;
            }
            tokio::select! {
                Ok(()) = stage.changed() => pause = FIRST_PAUSE,
                () = tokio::time::sleep(pause) => pause *= 2,
            }
        }
    });
    if answered.await.unwrap_or(false) {
        health.report.set_unready_reason(None);
        return (StatusCode::OK, "the server answers".to_owned());
    }
    health.report.set_unready_reason(Some(reason.clone()));
    (StatusCode::SERVICE_UNAVAILABLE, reason)
}

/// Why the server does not answer in this stage, unless it says so itself.
fn reason_of_silence(stage: &Stage) -> String {
    match stage {
        Stage::Running => format!("the server did not answer SELECT 1 within {} s", TIMEOUT.as_secs()),
        other => other.to_string(),
    }
}

impl Server {
    /// Asks in a new session each time: a server that answers existing ones and accepts no new ones is not ready. Returns
    /// the version that the server reports to every client.
    async fn query(&mut self) -> Result<Option<String>, Unready> {
        let OwnSession { client, server_version } = self.sessions.open().await?;
        let is_ready: bool = client.query_one(question(self.servers), &[]).await?.try_get(0)?;
        if is_ready { Ok(server_version) } else { Err(Unready::NotStreaming) }
    }
}

/// What a server that is ready says yes to. A standby that does not receive what its primary writes has outdated data.
fn question(servers: Servers) -> &'static str {
    match servers {
        Servers::One => "SELECT 1 = 1",
        Servers::Several => {
            "SELECT NOT pg_catalog.pg_is_in_recovery() \
             OR EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming')"
        }
    }
}

/// Why a server that was started is not ready.
#[derive(Debug)]
enum Unready {
    Failed(tokio_postgres::Error),
    NotStreaming,
}

impl From<tokio_postgres::Error> for Unready {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => f.write_str(&describe(error)),
            Self::NotStreaming => f.write_str("the standby does not stream from the primary"),
        }
    }
}

/// The server's message, such as "the database system is starting up". Others may be what a login trigger of users has
/// written, and the kubelet puts this text into an Event.
fn describe(error: &tokio_postgres::Error) -> String {
    const SHOWN: [&str; 4] = ["28", "3D", "53", "57"];
    match (error.as_db_error(), error.source()) {
        (Some(server), _) if SHOWN.iter().any(|class| server.code().code().starts_with(class)) => {
            format!("the server reports: {}", server.message())
        }
        (Some(server), _) => format!("the server reports SQLSTATE {}: see its log", server.code().code()),
        (None, Some(source)) => format!("the server cannot be reached: {source}"),
        (None, None) => format!("the server cannot be reached: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use crate::boot::BootRefusal;
    use crate::stage::StageReporter;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use pgops_api::instance_status::InstanceStatus;
    use pgops_testing::assert_clients_are_limited;
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
    async fn waiting_instance_is_alive_but_not_ready_and_says_why() {
        let (reporter, reader) = StageReporter::new();
        let report = StatusReport::new("/");
        let router = router(reader, OwnSessions::new("postgres", 17), Servers::One, report.clone());
        reporter.report(Stage::WaitingForVersion { own: 13, active: 17 });
        assert_eq!(ask(&router, "/live").await.0, StatusCode::OK);
        let (status, text) = ask(&router, "/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("major version 17 is active on the volume, and this pod has 13"), "{text}");
        assert_eq!(report.current().unready_reason, Some(text));
        reporter.report(Stage::Refused(BootRefusal::InitialisedBefore));
        assert!(ask(&router, "/ready").await.1.contains("restore the volume"));
    }

    #[test]
    fn member_is_ready_as_the_primary_or_as_a_standby_that_streams() {
        assert!(!question(Servers::One).contains("pg_is_in_recovery"));
        let question = question(Servers::Several);
        assert!(question.contains("NOT pg_catalog.pg_is_in_recovery() OR EXISTS"), "{question}");
        assert!(Unready::NotStreaming.to_string().contains("does not stream"));
    }

    #[tokio::test]
    async fn status_is_answered_while_the_server_does_not_run() {
        let (_reporter, reader) = StageReporter::new();
        let router = router(reader, OwnSessions::new("postgres", 17), Servers::One, StatusReport::new("/"));
        let (status, text) = ask(&router, STATUS_PATH).await;
        let reported: InstanceStatus = serde_json::from_str(&text).unwrap();
        assert_eq!((status, reported.server_version), (StatusCode::OK, None));
        assert!(reported.volume.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_response_waits_for_a_change_or_a_timeout() {
        let (reporter, reader) = StageReporter::new();
        let router = router(reader, OwnSessions::new("postgres", 17), Servers::One, StatusReport::new("/"));
        let started_at = Instant::now();
        assert_eq!(ask(&router, "/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(started_at.elapsed(), TIMEOUT);

        let started_at = Instant::now();
        let second = Duration::from_secs(1);
        let stop = async {
            tokio::time::sleep(second).await;
            reporter.report(Stage::Stopping);
        };
        let ((status, text), ()) = tokio::join!(ask(&router, "/ready"), stop);
        assert_eq!((status, started_at.elapsed()), (StatusCode::SERVICE_UNAVAILABLE, second));
        assert!(text.contains("stopping"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn probes_of_many_clients_are_answered_as_soon_as_one() {
        let (_reporter, reader) = StageReporter::new();
        let router = router(reader, OwnSessions::new("postgres", 17), Servers::One, StatusReport::new("/"));
        let started_at = Instant::now();
        let probes = (0..Limits::PROBES.connections).map(|_| {
            let router = router.clone();
            tokio::spawn(async move { ask(&router, "/ready").await })
        });
        for probe in probes.collect::<Vec<_>>() {
            assert_eq!(probe.await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(started_at.elapsed(), TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_greedy_clients_of_probes_are_cut_off() {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(serve(socket, Router::new()));
        assert_clients_are_limited(address, Limits::PROBES.connections).await;
    }
}
