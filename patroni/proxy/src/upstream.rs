//! A connection to the API server.
//!
//! Each connection of the client has one of its own, for as long as it lives. So Patroni sees what it would see without
//! the proxy: if it gives up a request, that connection ends, and the next request uses another one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{error::Elapsed, timeout};
use tokio_rustls::TlsConnector;

use crate::call::Outgoing;
use crate::credentials::{Credentials, CredentialsError};
use crate::record::PATCH_TYPE;

/// For a connection and its TLS handshake. Patroni's own limit for a request is 2 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

// Those of Patroni for `ttl: 20, loop_wait: 3, retry_timeout: 4`: Patroni sets them on its socket, which now ends here.
// Without them a watch would wait for ever for an API server whose node has failed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(7);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(4);
const KEEPALIVE_PROBES: u32 = 3;
const USER_TIMEOUT_MILLISECONDS: u32 = 20_000;

/// Where the API server is, and how to be known there.
#[derive(Debug)]
pub struct ApiServer {
    host: String,
    port: u16,
    host_header: HeaderValue,
    server_name: ServerName<'static>,
    credentials: Credentials,
}

/// The API server cannot be reached, or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// A mounted file.
    #[error("failed to authenticate to the API server")]
    Credentials(#[from] CredentialsError),
    /// The connection, or its TLS handshake.
    #[error("failed to connect to the API server")]
    Connect(#[source] io::Error),
    /// Nothing was answered while connecting.
    #[error("failed to connect to the API server within {} s", CONNECT_TIMEOUT.as_secs())]
    ConnectTimeout(#[from] Elapsed),
    /// The connection ended before the response.
    #[error("failed to get a response from the API server")]
    Http(#[from] hyper::Error),
    /// The request has something that none can have.
    #[error("failed to make a request to the API server")]
    Request(#[from] hyper::http::Error),
}

/// The address cannot be that of an API server.
#[derive(Debug, thiserror::Error)]
#[error("failed to use {0:?} as the address of the API server")]
pub struct BadAddress(String);

impl ApiServer {
    /// The API server at an address, or a name, as `KUBERNETES_SERVICE_HOST` has it.
    pub fn new(host: String, port: u16, credentials: Credentials) -> Result<Self, BadAddress> {
        let authority =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let parsed = (ServerName::try_from(host.clone()), HeaderValue::try_from(authority));
        let (Ok(server_name), Ok(host_header)) = parsed else { return Err(BadAddress(host)) };
        Ok(Self { host, port, host_header, server_name, credentials })
    }

    /// Whether a connection could be made, as far as files decide it.
    pub fn check_credentials(&self) -> Result<(), CredentialsError> {
        self.credentials.authorization()?;
        self.credentials.tls()?;
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, UpstreamError> {
        let tls = TlsConnector::from(self.credentials.tls()?);
        let connect = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            // A request is one write, and waits for nothing.
            stream.set_nodelay(true)?;
            keep_alive(&stream)?;
            tls.connect(self.server_name.clone(), stream).await
        };
        let stream = timeout(CONNECT_TIMEOUT, connect).await?.map_err(UpstreamError::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        // How it ended is what the request reports that it was for.
        driver.spawn(async { drop(connection.await) });
        Ok(Connection { sender, _driver: driver })
    }

    fn request(&self, outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, UpstreamError> {
        let mut request = Request::builder()
            .method(outgoing.method.clone())
            .uri(&outgoing.target)
            .header(HOST, self.host_header.clone())
            .header(AUTHORIZATION, self.credentials.authorization()?)
            .header(USER_AGENT, concat!("pgops-patroni-proxy/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json");
        if !outgoing.body.is_empty() {
            request = request.header(CONTENT_TYPE, PATCH_TYPE);
        }
        Ok(request.body(Full::from(outgoing.body.clone()))?)
    }
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    sockopt::set_tcp_user_timeout(stream, USER_TIMEOUT_MILLISECONDS)?;
    Ok(())
}

/// A connection to the API server, made when it is needed.
pub struct Upstream {
    server: Arc<ApiServer>,
    connection: Option<Connection>,
}

/// An open connection. It ends when it is dropped.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// The task that reads and writes.
    _driver: JoinSet<()>,
}

impl Upstream {
    /// No connection yet.
    pub fn new(server: Arc<ApiServer>) -> Self {
        Self { server, connection: None }
    }

    /// Sends a request. The body of the previous response must have been read.
    pub async fn send(&mut self, outgoing: &Outgoing) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = self.server.request(outgoing)?;
        if let Some(mut open) = self.connection.take()
            && open.sender.ready().await.is_ok()
        {
            match open.sender.try_send_request(request).await {
                Ok(response) => {
                    self.connection = Some(open);
                    return Ok(response);
                }
                // Only a request that was not written may be sent again.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut open = self.server.connect().await?;
        let response = open.sender.send_request(request).await?;
        self.connection = Some(open);
        Ok(response)
    }
}
