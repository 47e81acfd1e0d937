//! The two listeners: TLS for the API server, plain HTTP for probes and metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use pgops_certs::Certificates;
use rustls::ServerConfig;

use crate::cache::Caches;
use crate::lifecycle::{Readiness, Shutdown};
use crate::metrics::Metrics;

/// How long requests are still taken after SIGTERM: the time in which every node learns that this pod
/// is no endpoint any more.
const LINGER: Duration = Duration::from_secs(5);
/// How long requests that have begun may take after that.
const DRAIN: Duration = Duration::from_secs(15);
/// How long an API server keeps a connection that it does not use: the default of Go's client.
const CLIENT_IDLE: Duration = Duration::from_secs(90);
/// A connection on which no whole head of a request arrives for this long is cut off. The time runs on idle
/// connections too, so it must be the client that closes those: a review that is sent at the very moment in
/// which the server closes is lost, and refused.
const HEAD_TIMEOUT: Duration = CLIENT_IDLE.saturating_add(Duration::from_secs(30));

/// Serves admission over TLS until the process was told to end and every request is answered.
pub async fn admission(
    bind: SocketAddr,
    tls: ServerConfig,
    router: Router,
    readiness: Readiness,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let handle = Handle::new();
    let router = router.layer(middleware::from_fn_with_state(shutdown.clone(), part));
    // Without it the last part of a handshake waits 40 ms for an acknowledgement that the client delays.
    let accept =
        RustlsAcceptor::new(RustlsConfig::from_config(Arc::new(tls))).acceptor(NoDelayAcceptor::new());
    let mut server = axum_server::bind(bind).acceptor(accept).handle(handle.clone()).http1_only();
    server.http_builder().http1().header_read_timeout(HEAD_TIMEOUT);
    let drain = async {
        shutdown.begun().await;
        readiness.lose("the process ends");
        tokio::time::sleep(LINGER).await;
        handle.graceful_shutdown(Some(DRAIN));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = server.serve(router.into_make_service()) => {
            ended.with_context(|| format!("failed to serve on --bind {bind}"))
        }
        () = drain => Ok(()),
    }
}

/// While the process ends, asks each client that is busy to come back on a new connection, which leads
/// to another replica. So hardly a connection is left to be closed under a client's next request.
async fn part(State(shutdown): State<Shutdown>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if shutdown.has_begun() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Serves what needs no TLS, until the process ends.
pub async fn serve_plain(bind: SocketAddr, router: Router) -> anyhow::Result<()> {
    axum_server::bind(bind)
        .serve(router.into_make_service())
        .await
        .with_context(|| format!("failed to serve on --health-bind {bind}"))
}

/// The kubelet's probes, and the metrics.
pub fn plain(
    readiness: Readiness,
    caches: Arc<Caches>,
    certificates: Certificates,
    metrics: Metrics,
) -> Router {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = async move || ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.text(&caches, &certificates));
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness)
        .route("/metrics", get(text))
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let missing = readiness.missing();
    if missing.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use axum::body::{Body, to_bytes};
    use jiff::{SignedDuration, Timestamp};
    use pgops_certs::{Authority, Resolver};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
    use tower::ServiceExt;

    const NAME: &str = "pgops-webhook.pgops-system.svc";

    async fn ask(router: Router, path: &str) -> Response {
        router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn the_probe_names_what_is_missing() {
        let readiness = Readiness::awaiting(&["certificate"]);
        let probes =
            plain(readiness.clone(), Arc::new(Caches::new().0), Certificates::default(), Metrics::default());
        let answer = ask(probes.clone(), "/readyz").await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = to_bytes(answer.into_body(), 1024).await.unwrap();
        assert_eq!(&body[..], b"not ready: certificate\n");
        assert_eq!(ask(probes.clone(), "/livez").await.status(), StatusCode::OK);
        readiness.met("certificate");
        assert_eq!(ask(probes, "/readyz").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn connections_are_closed_only_while_the_process_ends() {
        let (signal, shutdown) = Shutdown::manual();
        let router = Router::new()
            .route("/", get(|| async {}))
            .layer(middleware::from_fn_with_state(shutdown.clone(), part));
        assert!(!ask(router.clone(), "/").await.headers().contains_key(header::CONNECTION));
        signal.send_replace(true);
        assert_eq!(ask(router, "/").await.headers()[header::CONNECTION], "close");
    }

    /// A certificate for the server, and a client that trusts it.
    fn tls() -> (ServerConfig, ClientConfig) {
        let (now, life) = (Timestamp::now(), SignedDuration::from_hours(24));
        let authority = Authority::generate(now, life).unwrap();
        let resolver = Arc::new(Resolver::default());
        resolver.replace(authority.issue(&[NAME.to_owned()], now, life).unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        (pgops_certs::server_config(resolver), client)
    }

    /// As the API server: a connection that is kept, and asked again after a while.
    struct Client(StreamOwned<ClientConnection, TcpStream>);

    impl Client {
        fn connect(address: SocketAddr, tls: ClientConfig) -> Self {
            let socket = loop {
                if let Ok(socket) = TcpStream::connect(address) {
                    break socket;
                }
            };
            let tls = ClientConnection::new(tls.into(), ServerName::try_from(NAME).unwrap()).unwrap();
            Self(StreamOwned::new(tls, socket))
        }

        /// All that is answered; none if the connection is closed.
        fn ask(&mut self) -> Option<String> {
            self.0.write_all(b"GET / HTTP/1.1\r\nHost: pgops\r\n\r\n").ok()?;
            let mut answer = String::new();
            while !answer.ends_with("answered") {
                let mut bytes = [0; 1024];
                match self.0.read(&mut bytes) {
                    Ok(0) | Err(_) => return None,
                    Ok(read) => answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap()),
                }
            }
            Some(answer)
        }
    }

    /// Runs what blocks elsewhere. A clock that is paused stands still meanwhile.
    async fn aside<T: Send + 'static>(blocks: impl FnOnce() -> T + Send + 'static) -> T {
        tokio::task::spawn_blocking(blocks).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_by_the_client_first() {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let (server_tls, client_tls) = tls();
        let router = Router::new().route("/", get(|| async { "answered" }));
        let (_signal, shutdown) = Shutdown::manual();
        tokio::spawn(admission(address, server_tls, router, Readiness::awaiting(&[]), shutdown));
        let asked = |mut client: Client| aside(move || (client.ask(), client));

        let client = aside(move || Client::connect(address, client_tls)).await;
        let (first, client) = asked(client).await;
        assert!(first.unwrap().starts_with("HTTP/1.1 200 "));

        tokio::time::advance(CLIENT_IDLE + Duration::from_secs(5)).await;
        let (after_idling, client) = asked(client).await;
        assert!(after_idling.is_some(), "a review would have been lost");

        tokio::time::advance(HEAD_TIMEOUT + Duration::from_secs(1)).await;
        let (never, _) = asked(client).await;
        assert_eq!(never, None, "no client may keep a connection for good");
    }
}
