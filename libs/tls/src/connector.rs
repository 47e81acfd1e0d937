//! TLS connections to a database, as `tokio_postgres` makes them, and by hand.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pgops_api::tls::{AUTHORITY_KEY, CERTIFICATE_KEY, PRIVATE_KEY_KEY};
use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_postgres::tls::{self, ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::client;

use crate::files;
use crate::pair::{PairError, certificates};
use crate::trust::DatabaseVerifier;

/// A client's question whether the server speaks TLS; the answer has one byte. It needs no password and no session.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Why no TLS connection can be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The mounted certificate of the server or of the client.
    #[error("failed to use the certificates in {directory}")]
    Certificates {
        /// Where they are mounted.
        directory: String,
        /// What is wrong with them.
        #[source]
        source: PairError,
    },
    /// The key of the client does not fit its certificate, or protocols are missing.
    #[error("failed to use the certificate of the superuser in {directory}")]
    Client {
        /// Where it is mounted.
        directory: String,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// No certificate can have the name.
    #[error("failed to use \"{0}\" as the name of a server")]
    Name(String),
}

/// Makes TLS connections to the server of one database.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Connector {
    /// Trusts the server whose certificate is in `server` (`tls.crt`, `ca.crt`), and authenticates by the certificate and the
    /// key in `client`, if there are any. `name` is one that the server's certificate has if it was issued for pgops.
    ///
    /// The files are those of mounted Secrets, which change: a connector is made for each connection.
    pub fn read(server: &Path, client: Option<&Path>, name: &str) -> Result<Self, ConnectorError> {
        let failed = |directory: &Path| {
            let directory = directory.display().to_string();
            move |source| ConnectorError::Certificates { directory, source }
        };
        let optional = |name: &'static str| match files::read_if_exists(server, name) {
            Ok(Some(content)) if !content.is_empty() => certificates(name, &content),
            Ok(_) => Ok(Vec::new()),
            Err(source) => Err(PairError::Read(name, source)),
        };
        let pinned = optional(CERTIFICATE_KEY).map_err(failed(server))?.into_iter().next();
        let authorities = optional(AUTHORITY_KEY).map_err(failed(server))?;
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_| ConnectorError::Name(name.to_owned()))?;

        let provider = Arc::new(default_provider());
        let verifier = DatabaseVerifier::new(pinned, authorities, name.clone(), provider.clone());
        let no_protocols =
            |source| ConnectorError::Client { directory: server.display().to_string(), source };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(no_protocols)?
            // The verifier verifies, by another rule than the names of public servers.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let read = |name: &'static str| {
                    files::read(client, name).map_err(|source| PairError::Read(name, source))
                };
                let chain = read(CERTIFICATE_KEY).and_then(|content| certificates(CERTIFICATE_KEY, &content));
                let chain = chain.map_err(failed(client))?;
                let key = read(PRIVATE_KEY_KEY).and_then(|content| private_key(&content));
                let key = key.map_err(failed(client))?;
                let unfit =
                    |source| ConnectorError::Client { directory: client.display().to_string(), source };
                builder.with_client_auth_cert(chain, key).map_err(unfit)?
            }
        };
        Ok(Self { config: Arc::new(config), name })
    }

    /// Begins TLS on a new connection to a server. A server that does not speak TLS is an error.
    pub async fn start_tls<S>(&self, mut stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream.write_all(&SSL_REQUEST).await?;
        if stream.read_u8().await? != b'S' {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "server does not support TLS"));
        }
        self.handshake(stream).await
    }

    async fn handshake<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(self.config.clone());
        connector.connect(self.name.clone(), stream).await.map(TlsStream)
    }
}

fn private_key(content: &[u8]) -> Result<PrivateKeyDer<'static>, PairError> {
    PrivateKeyDer::from_pem_slice(content).map_err(PairError::KeyPem)
}

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<S>;
    type TlsConnect = Self;
    type Error = io::Error;

    /// The host does not matter: it is an address, which no certificate names.
    fn make_tls_connect(&mut self, _: &str) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl<S> TlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TlsStream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.handshake(stream).await })
    }
}

/// An encrypted connection.
#[derive(Debug)]
pub struct TlsStream<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> tls::TlsStream for TlsStream<S> {
    /// None: the server is known by its certificate already.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
