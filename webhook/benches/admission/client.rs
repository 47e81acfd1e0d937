//! The API server's side of a connection, as cheap as possible: blocking, one write and hardly more than one
//! read per review, no HTTP library.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The name by which the API server calls the webhook.
pub const SERVER_NAME: &str = "pgops-webhook.pgops-system.svc";

const LENGTH: &[u8] = b"\r\ncontent-length: ";
/// Maximum time for connecting and for each response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A server's address, and how its certificate is verified.
#[derive(Clone)]
pub struct Target {
    /// Whether the server reads the review, or always sends the same response.
    pub reads: bool,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Target {
    /// A server with a certificate of this authority. The client behaves like Go's, which never resumes a
    /// session here and prefers AES-128 if the processor supports it.
    pub fn new(address: SocketAddr, authority: &[u8], reads: bool) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority)?)?;
        let mut provider = ring::default_provider();
        provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
        let mut tls = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        tls.resumption = Resumption::disabled();
        Ok(Self { reads, address, tls: tls.into() })
    }

    /// The same server, with a client that resumes sessions.
    pub fn resuming(&self) -> Self {
        let mut tls = (*self.tls).clone();
        tls.resumption = Resumption::in_memory_sessions(64);
        Self { tls: tls.into(), ..*self }
    }

    /// Waits until a connection is accepted.
    pub fn wait_for_listener(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while let Err(error) = TcpStream::connect(self.address) {
            ensure!(Instant::now() < deadline, "no listener on {}: {error}", self.address);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// A connection that is kept alive.
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// The bytes received of the current response.
    response: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Connects; the handshake takes place with the first request.
    pub fn open(target: &Target) -> anyhow::Result<Self> {
        let socket = TcpStream::connect_timeout(&target.address, TIMEOUT).context("failed to connect")?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let tls = ClientConnection::new(target.tls.clone(), ServerName::try_from(SERVER_NAME)?)?;
        Ok(Self { stream: StreamOwned::new(tls, socket), response: vec![0; 16 * 1024], filled: 0 })
    }

    /// Sends a request and returns the body of its response, which must be a 200.
    pub fn send(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request).context("failed to send")?;
        self.filled = 0;
        let head = loop {
            self.read()?;
            if let Some(end) = find(&self.response[..self.filled], b"\r\n\r\n") {
                break end + 4;
            }
        };
        let length = content_length(&self.response[..head])?;
        let end = head + length;
        if self.response.len() < end {
            self.response.resize(end, 0);
        }
        while self.filled < end {
            self.read()?;
        }
        ensure!(self.filled == end, "there is data after the response");
        Ok(&self.response[head..end])
    }

    /// Leaves the connection open, without what is needed to use it.
    pub fn into_socket(self) -> TcpStream {
        self.stream.sock
    }

    fn read(&mut self) -> anyhow::Result<()> {
        match self.stream.read(&mut self.response[self.filled..]).context("failed to receive")? {
            0 => bail!("the connection was closed, or the head of a response is too long"),
            read => self.filled += read,
        }
        Ok(())
    }
}

/// The content length in the head of a response, which must be a 200 on a connection that stays open.
fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let bad = || format!("unexpected response head: {}", String::from_utf8_lossy(head));
    ensure!(head.starts_with(b"HTTP/1.1 200 "), bad());
    ensure!(find(head, b"connection: close").is_none(), bad());
    let from = find(head, LENGTH).with_context(bad)? + LENGTH.len();
    let digits = head[from..].iter().take_while(|byte| byte.is_ascii_digit());
    Ok(digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
