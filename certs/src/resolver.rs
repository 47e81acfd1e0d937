//! What a TLS server asks for its certificate.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::Serving;

/// Holds the serving certificate of the moment. Connections that stand keep theirs.
#[derive(Debug, Default)]
pub struct Resolver(ArcSwapOption<Serving>);

impl Resolver {
    /// Hands out this certificate from now on.
    pub fn replace(&self, serving: Serving) {
        self.0.store(Some(Arc::new(serving)));
    }

    /// Whether another certificate should be made.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.serving().is_none_or(|serving| serving.is_due(now))
    }

    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.0.load_full()
    }
}

impl ResolvesServerCert for Resolver {
    // Whatever name the client asks for: it checks the names itself, and a clear mismatch there
    // is easier to find than a handshake that ends without a certificate.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.serving().map(|serving| serving.key())
    }
}

/// TLS 1.2 and 1.3 with certificates from the resolver, for HTTP/1.1, which is what API servers
/// speak to webhooks. Uses the process's crypto provider, which must be installed.
#[must_use]
pub fn server_config(resolver: Arc<Resolver>) -> ServerConfig {
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;
    use jiff::SignedDuration;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    const NAME: &str = "pgops-webhook.pgops-system.svc";

    fn serving(authority: &Authority) -> Serving {
        authority.issue(&[NAME.to_owned()], Timestamp::now(), SignedDuration::from_hours(1)).unwrap()
    }

    fn authority() -> Authority {
        Authority::generate(Timestamp::now(), SignedDuration::from_hours(24)).unwrap()
    }

    fn resolver(authority: &Authority) -> Arc<Resolver> {
        let resolver = Resolver::default();
        resolver.replace(serving(authority));
        Arc::new(resolver)
    }

    fn client(trusted: &Authority, name: &'static str) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.certificate().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap()
    }

    fn server(resolver: &Arc<Resolver>) -> ServerConnection {
        let _ = rustls::crypto::ring::default_provider().install_default();
        ServerConnection::new(Arc::new(server_config(resolver.clone()))).unwrap()
    }

    /// A whole handshake in memory, and the certificate that the client has seen.
    fn shake(
        mut client: ClientConnection,
        mut server: ServerConnection,
    ) -> Result<CertificateDer<'static>, rustls::Error> {
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(client.peer_certificates().unwrap()[0].clone().into_owned())
    }

    #[test]
    fn a_client_that_trusts_the_authority_accepts_the_service_name() {
        let authority = authority();
        let resolver = resolver(&authority);
        let server = server(&resolver);
        shake(client(&authority, NAME), server).unwrap();
    }

    #[test]
    fn a_client_of_another_name_or_authority_is_turned_away() {
        let (authority, other) = (authority(), authority());

        let resolver = resolver(&authority);
        let first = server(&resolver);
        assert!(shake(client(&authority, "elsewhere.pgops-system.svc"), first).is_err());
        assert!(shake(client(&other, NAME), server(&resolver)).is_err());
    }

    #[test]
    fn a_replaced_certificate_is_seen_by_the_next_connection() {
        let authority = authority();
        let resolver = resolver(&authority);
        let before = server(&resolver);
        let before = shake(client(&authority, NAME), before).unwrap();
        resolver.replace(serving(&authority));
        let after = shake(client(&authority, NAME), server(&resolver)).unwrap();
        assert_ne!(before, after);
    }
}
