//! Accepts connections within the limits, and serves HTTP/1.1 on each.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pgops_api::display_chain;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::closed::Closed;
use crate::connections::{Connection, Connections};
use crate::limits::Limits;
use crate::observer::{Observer, Unobserved};
use crate::peer::Identity;
use crate::phase::Phase;
use crate::throttle::Throttle;

/// Pause after a failure to accept, such as a lack of file descriptors, which would otherwise fail in a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A listener: what it serves, and how much of it.
pub struct Listener {
    name: &'static str,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    observer: Arc<dyn Observer>,
    log: Throttle,
}

impl Listener {
    /// A listener for plain HTTP. The name is the one in metrics and logs.
    #[must_use]
    pub fn new(name: &'static str, router: Router, limits: Limits) -> Self {
        Self { name, tls: None, router, limits, observer: Arc::new(Unobserved), log: Throttle::default() }
    }

    /// A listener for HTTP over TLS.
    #[must_use]
    pub fn with_tls(self, tls: TlsAcceptor) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// A listener that reports what happens to its connections.
    #[must_use]
    pub fn with_observer(self, observer: impl Observer + 'static) -> Self {
        Self { observer: Arc::new(observer), ..self }
    }

    /// Accepts connections until draining begins, and returns when the last one has ended.
    pub async fn serve(self, socket: TcpListener, draining: CancellationToken) {
        let listener = Arc::new(self);
        let connections = Connections::new(listener.limits.connections);
        let first_phase = if listener.tls.is_some() { Phase::Handshake } else { Phase::Idle };
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                (stream, peer) = accept(&socket) => match connections.open(peer, first_phase) {
                    Some(connection) => {
                        tasks.spawn(listener.clone().handle(stream, connection, draining.clone()));
                    }
                    None => listener.report(peer, &Closed::Limit),
                },
                Some(_) = tasks.join_next() => {}
                () = draining.cancelled() => break,
            }
            listener.observer.set_connections(listener.name, connections.len());
        }
        drop(socket);
        while tasks.join_next().await.is_some() {}
    }

    /// Serves a connection until its end, and closes it if it must make room or is too slow.
    async fn handle(self: Arc<Self>, stream: TcpStream, connection: Connection, draining: CancellationToken) {
        let closed = tokio::select! {
            // In this order: only after a phase has changed is it known for how long the connection may stay in it.
            biased;
            ended = self.exchange(stream, &connection, &draining) => ended,
            phase = connection.overdue(&self.limits) => Err(Closed::Overdue(phase)),
            () = connection.evicted() => Err(Closed::Limit),
        };
        if let Err(reason) = closed {
            self.report(connection.peer().address, &reason);
        }
    }

    async fn exchange(
        &self,
        stream: TcpStream,
        connection: &Connection,
        draining: &CancellationToken,
    ) -> Result<(), Closed> {
        // Otherwise the last message of a handshake waits 40 ms for an acknowledgement that the client delays. Without
        // the option the connection works too.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.serve_http(stream, connection, draining).await;
        };
        let stream = tls.accept(stream).await.map_err(Closed::Handshake)?;
        // A certificate that the client presented was verified in the handshake.
        let is_verified = stream.get_ref().1.peer_certificates().is_some();
        connection.established(if is_verified { Identity::Verified } else { Identity::Unverified });
        self.serve_http(stream, connection, draining).await
    }

    async fn serve_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        connection: &Connection,
        draining: &CancellationToken,
    ) -> Result<(), Closed> {
        let peer = connection.peer();
        let service = service_fn(|mut request: Request<Incoming>| {
            connection.enter(Phase::Request);
            request.extensions_mut().insert(peer);
            let response = self.router.clone().call(request);
            async move {
                let response = response.await;
                connection.enter(Phase::Idle);
                response
            }
        });
        let stream = InspectReader::new(stream, |bytes: &[u8]| {
            if !bytes.is_empty() {
                connection.received();
            }
        });
        let mut http = pin!(
            http1::Builder::new()
                // Replaced by the limit on the phase, which does not run on idle connections.
                .header_read_timeout(None)
                .max_buf_size(self.limits.buffer)
                .serve_connection(TokioIo::new(stream), service)
        );
        tokio::select! {
            ended = http.as_mut() => return Ok(ended?),
            () = draining.cancelled() => http.as_mut().graceful_shutdown(),
        }
        Ok(http.await?)
    }

    /// Counts a connection that did not end by itself, and logs it, if it is not usual and not too often.
    fn report(&self, peer: IpAddr, closed: &Closed) {
        let reason = closed.reason();
        self.observer.count_closed(self.name, reason);
        if closed.is_usual() {
            tracing::debug!(listener = self.name, %peer, reason, "closed a connection");
        } else if let Some(suppressed) = self.log.permit() {
            let error = display_chain(closed);
            tracing::warn!(listener = self.name, %peer, reason, error, suppressed, "closed a connection");
        }
    }
}

/// The next connection. Fails for none: a failure may pass, as that of a connection that its client has reset.
async fn accept(socket: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match socket.accept().await {
            // A client that connects over IPv4 to a socket for both families has an IPv6 address otherwise.
            Ok((stream, peer)) => return (stream, peer.ip().to_canonical()),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
