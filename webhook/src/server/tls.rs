//! The TLS listener for the API server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::ServerConfig;

use pgops_kube::Readiness;
use pgops_kube::shutdown::CancellationToken;

/// How long new requests are accepted after SIGTERM: the time in which every node learns that this pod is no
/// longer an endpoint.
const PRE_STOP_DELAY: Duration = Duration::from_secs(5);
/// How long requests in flight may take after that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an API server keeps an idle connection: the default of Go's client.
const CLIENT_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// A connection that receives no complete request head for this long is closed. The time runs on idle
/// connections too, and those must be closed by the client: a review that is sent at the very moment in which
/// the server closes is lost, and its object denied.
const HEAD_TIMEOUT: Duration = CLIENT_IDLE_TIMEOUT.saturating_add(Duration::from_secs(30));

/// Serves admission over TLS until shutdown begins and every request is answered.
pub async fn serve(
    bind: SocketAddr,
    tls: ServerConfig,
    router: Router,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let handle = Handle::new();
    let router = router.layer(middleware::from_fn_with_state(shutdown.clone(), close_when_draining));
    // Otherwise the last message of a handshake waits 40 ms for an acknowledgement that the client delays.
    let accept =
        RustlsAcceptor::new(RustlsConfig::from_config(Arc::new(tls))).acceptor(NoDelayAcceptor::new());
    let mut server = axum_server::bind(bind).acceptor(accept).handle(handle.clone()).http1_only();
    server.http_builder().http1().header_read_timeout(HEAD_TIMEOUT);
    let drain = async {
        shutdown.cancelled().await;
        readiness.set_unmet("shutting down");
        tokio::time::sleep(PRE_STOP_DELAY).await;
        handle.graceful_shutdown(Some(DRAIN_TIMEOUT));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = server.serve(router.into_make_service()) => {
            ended.with_context(|| format!("failed to serve on --bind {bind}"))
        }
        () = drain => Ok(()),
    }
}

/// During shutdown, asks each active client to reconnect, which leads it to another replica. So hardly any
/// connection is left that could be closed just before the client's next request.
async fn close_when_draining(
    State(shutdown): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if shutdown.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use axum::body::Body;
    use axum::routing::get;
    use jiff::{SignedDuration, Timestamp};
    use pgops_certs::{Authority, Resolver};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
    use tower::ServiceExt;

    const NAME: &str = "pgops-webhook.pgops-system.svc";

    async fn get_root(router: Router) -> Response {
        router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn connections_are_closed_only_while_draining() {
        let shutdown = CancellationToken::new();
        let router = Router::new()
            .route("/", get(|| async {}))
            .layer(middleware::from_fn_with_state(shutdown.clone(), close_when_draining));
        assert!(!get_root(router.clone()).await.headers().contains_key(header::CONNECTION));
        shutdown.cancel();
        assert_eq!(get_root(router).await.headers()[header::CONNECTION], "close");
    }

    /// The server's certificate, and a client that trusts it.
    fn tls() -> (ServerConfig, ClientConfig) {
        let now = Timestamp::now();
        let life = SignedDuration::from_hours(24);
        let authority = Authority::generate(now, life).unwrap();
        let resolver = Arc::new(Resolver::default());
        resolver.replace(authority.issue(&[NAME.to_owned()], now, life).unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        (pgops_certs::server_config(resolver), client)
    }

    /// A kept connection that is used again after a while, as the API server does.
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

        /// Sends a request and returns the whole response; none if the connection is closed.
        fn request(&mut self) -> Option<String> {
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

    /// Runs blocking code on another thread. A paused clock does not advance meanwhile.
    async fn on_blocking_thread<T: Send + 'static>(code: impl FnOnce() -> T + Send + 'static) -> T {
        tokio::task::spawn_blocking(code).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connection_is_closed_by_the_client_first() {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let (server_tls, client_tls) = tls();
        let router = Router::new().route("/", get(|| async { "answered" }));
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(address, server_tls, router, Readiness::requiring(&[]), shutdown));
        let request = |mut client: Client| on_blocking_thread(move || (client.request(), client));

        let client = on_blocking_thread(move || Client::connect(address, client_tls)).await;
        let (first, client) = request(client).await;
        assert!(first.unwrap().starts_with("HTTP/1.1 200 "));

        tokio::time::advance(CLIENT_IDLE_TIMEOUT + Duration::from_secs(5)).await;
        let (after_idling, client) = request(client).await;
        assert!(after_idling.is_some(), "a review would have been lost");

        tokio::time::advance(HEAD_TIMEOUT + Duration::from_secs(1)).await;
        let (never, _) = request(client).await;
        assert_eq!(never, None, "no client may keep a connection forever");
    }
}
