//! What the tests of the listeners share: certificates, and a client.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pgops_certs::{Authority, ClientAuthority, Resolver};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const NAME: &str = "pgops-webhook.pgops-system.svc";

/// The server's CA, and its certificate.
pub struct Pki {
    authority: Authority,
    resolver: Arc<Resolver>,
}

impl Pki {
    pub fn new() -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let now = Timestamp::now();
        let life = SignedDuration::from_hours(24);
        let authority = Authority::generate(now, life).unwrap();
        let resolver = Arc::new(Resolver::default());
        resolver.replace(authority.issue(&[NAME.to_owned()], now, life).unwrap());
        Self { authority, resolver }
    }

    /// The server, with the file of the CA for clients, if they need certificates.
    pub fn server(&self, clients: Option<&Path>) -> ServerConfig {
        let clients = clients.map(|file| Arc::new(ClientAuthority::read(file.to_owned()).unwrap()));
        pgops_certs::server_config(self.resolver.clone(), clients)
    }

    /// A client that trusts the server, with a certificate of this CA, if any.
    pub fn client(&self, certified_by: Option<&ClientCa>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let authority = self.authority.certificate().as_bytes();
        roots.add(CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        match certified_by.map(ClientCa::certify) {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        }
    }
}

/// A CA for clients.
pub struct ClientCa {
    pub certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl ClientCa {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: rcgen::Issuer::new(params, key) }
    }

    /// A new certificate for a client, with its key.
    fn certify(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }
}

/// A connection of a client, after the handshake.
pub struct Client(pub TlsStream<TcpStream>);

impl Client {
    /// Connects from this loopback address.
    pub async fn connect(from: IpAddr, to: SocketAddr, tls: &ClientConfig) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(to).await?;
        let connector = TlsConnector::from(Arc::new(tls.clone()));
        Ok(Self(connector.connect(ServerName::try_from(NAME).unwrap(), stream).await?))
    }

    /// Sends a request with this body, and returns the whole response; none if the connection is closed.
    pub async fn post(&mut self, body: &str) -> Option<String> {
        let mut request = String::new();
        let length = body.len();
        write!(request, "POST / HTTP/1.1\r\nHost: pgops\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        self.0.write_all(request.as_bytes()).await.ok()?;
        let mut response = String::new();
        while !response.ends_with("answered") {
            let mut bytes = [0; 1024];
            match self.0.read(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => response.push_str(std::str::from_utf8(&bytes[..read]).unwrap()),
            }
        }
        Some(response)
    }
}
