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
use pgops_http::{Limits, Listener};
use pgops_kube::Readiness;
use pgops_kube::shutdown::CancellationToken;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::metrics::Metrics;

/// How long new requests are accepted after SIGTERM: the time in which every node learns that this pod is no
/// longer an endpoint.
const PRE_STOP_DELAY: Duration = Duration::from_secs(5);
/// How long requests in flight may take after that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an API server keeps an idle connection: the default of Go's client.
const CLIENT_IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Each connection holds at most a small body and its buffers, so that all of them together fit into the memory limit of
/// the pod, next to the caches and the large bodies. The limits on bodies are shorter than that on requests.
///
/// Idle connections are closed by the client first: a review that is sent at the very moment in which the server closes
/// is lost, and its object denied. This includes a new connection, since Go's client opens some in advance.
const LIMITS: Limits = Limits {
    connections: 512,
    buffer: 64 * 1024,
    handshake: Duration::from_secs(10),
    head: Duration::from_secs(10),
    request: Duration::from_secs(30),
    idle: CLIENT_IDLE_TIMEOUT.saturating_add(Duration::from_secs(30)),
};

/// Serves admission over TLS until shutdown begins and every request is answered.
pub async fn serve(
    bind: SocketAddr,
    tls: ServerConfig,
    router: Router,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let socket =
        pgops_http::bind(bind).await.with_context(|| format!("failed to listen on --bind {bind}"))?;
    let listener = listener(tls, router, metrics, &shutdown);
    serve_until_drained(listener, socket, readiness, shutdown).await;
    Ok(())
}

fn listener(tls: ServerConfig, router: Router, metrics: Metrics, shutdown: &CancellationToken) -> Listener {
    let router = router.layer(middleware::from_fn_with_state(shutdown.clone(), close_when_draining));
    let tls = TlsAcceptor::from(Arc::new(tls));
    Listener::new("admission", router, LIMITS).with_tls(tls).with_observer(metrics)
}

async fn serve_until_drained(
    listener: Listener,
    socket: TcpListener,
    readiness: Readiness,
    shutdown: CancellationToken,
) {
    let draining = CancellationToken::new();
    let drain = async {
        shutdown.cancelled().await;
        readiness.set_unmet("shutting down");
        tokio::time::sleep(PRE_STOP_DELAY).await;
        draining.cancel();
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = listener.serve(socket, draining.clone()) => {}
        () = drain => {}
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
    use std::net::{Ipv4Addr, TcpStream};

    use axum::body::Body;
    use axum::routing::get;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, StreamOwned};
    use tower::ServiceExt;

    use crate::server::fixtures::{NAME, Pki};

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

    /// A kept connection that is used again after a while, as the API server does.
    struct Client(StreamOwned<ClientConnection, TcpStream>);

    impl Client {
        fn connect(address: SocketAddr, tls: ClientConfig) -> Self {
            let tls = ClientConnection::new(tls.into(), ServerName::try_from(NAME).unwrap()).unwrap();
            Self(StreamOwned::new(tls, TcpStream::connect(address).unwrap()))
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

    /// A listener with the limits of admission, and a client that trusts it.
    async fn start(shutdown: CancellationToken) -> (SocketAddr, ClientConfig) {
        let pki = Pki::new();
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "answered" }));
        let listener = listener(pki.server(None), router, Metrics::default(), &shutdown);
        tokio::spawn(serve_until_drained(listener, socket, Readiness::requiring(&[]), shutdown));
        (address, pki.client(None))
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connection_is_closed_by_the_client_first() {
        let (address, client_tls) = start(CancellationToken::new()).await;
        let request = |mut client: Client| on_blocking_thread(move || (client.request(), client));

        let client = on_blocking_thread(move || Client::connect(address, client_tls)).await;
        let (first, client) = request(client).await;
        assert!(first.unwrap().starts_with("HTTP/1.1 200 "));

        tokio::time::advance(CLIENT_IDLE_TIMEOUT + Duration::from_secs(5)).await;
        let (after_idling, client) = request(client).await;
        assert!(after_idling.is_some(), "a review would have been lost");

        tokio::time::advance(LIMITS.idle + Duration::from_secs(1)).await;
        let (never, _) = request(client).await;
        assert_eq!(never, None, "no client may keep a connection forever");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_answered_until_the_delay_before_draining_is_over() {
        let shutdown = CancellationToken::new();
        let (address, client_tls) = start(shutdown.clone()).await;
        let request = |mut client: Client| on_blocking_thread(move || (client.request(), client));
        let client = on_blocking_thread(move || Client::connect(address, client_tls)).await;
        let (first, client) = request(client).await;
        assert!(first.is_some());

        shutdown.cancel();
        // The delay begins when its task runs.
        tokio::task::yield_now().await;
        tokio::time::advance(PRE_STOP_DELAY * 4 / 5).await;
        let (last, _) = request(client).await;
        assert!(last.unwrap().contains("connection: close"), "the client must go to another replica");
        tokio::time::advance(PRE_STOP_DELAY).await;
        let refused = on_blocking_thread(move || {
            // The listener closes as soon as its task has run.
            (0..1000).any(|_| {
                std::thread::sleep(Duration::from_millis(1));
                TcpStream::connect(address).is_err()
            })
        });
        assert!(refused.await);
    }
}
