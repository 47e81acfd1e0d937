//! The certificate resolver of a TLS server.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::clients::ClientAuthority;
use crate::pki::ServingCertificate;

/// Holds the current serving certificate. Established connections keep the one they started with.
#[derive(Debug, Default)]
pub struct Resolver(ArcSwapOption<ServingCertificate>);

impl Resolver {
    /// Serves with this certificate from now on.
    pub fn replace(&self, serving: ServingCertificate) {
        self.0.store(Some(Arc::new(serving)));
    }

    /// Whether a new certificate is due, or there is none.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.serving().is_none_or(|serving| serving.is_due(now))
    }

    pub(crate) fn serving(&self) -> Option<Arc<ServingCertificate>> {
        self.0.load_full()
    }
}

impl ResolvesServerCert for Resolver {
    // The requested name is ignored: the client checks the names itself, and its name mismatch error is
    // easier to diagnose than a handshake that fails for want of a certificate.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.serving().map(|serving| serving.key())
    }
}

/// TLS 1.2 and 1.3 with certificates from the resolver, for HTTP/1.1, the protocol with which API servers
/// call webhooks. With a CA for clients, only those that it has certified can connect. Uses the process's default
/// crypto provider, which must be installed.
#[must_use]
pub fn server_config(resolver: Arc<Resolver>, clients: Option<Arc<ClientAuthority>>) -> ServerConfig {
    let builder = ServerConfig::builder();
    let mut config = match clients {
        None => builder.with_no_client_auth().with_cert_resolver(resolver),
        Some(clients) => {
            let mut config = builder.with_client_cert_verifier(clients).with_cert_resolver(resolver);
            // A session that is resumed is not verified again, so a client would outlive the CA that certified it.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            config
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;
    use jiff::SignedDuration;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    const NAME: &str = "pgops-webhook.pgops-system.svc";

    fn serving(authority: &Authority) -> ServingCertificate {
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
        ServerConnection::new(Arc::new(server_config(resolver.clone(), None))).unwrap()
    }

    /// Performs a handshake in memory; returns the certificate that the client received.
    fn handshake(
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
    fn client_that_trusts_the_ca_accepts_the_service_name() {
        let authority = authority();
        let resolver = resolver(&authority);
        let server = server(&resolver);
        handshake(client(&authority, NAME), server).unwrap();
    }

    #[test]
    fn client_with_another_name_or_ca_fails_the_handshake() {
        let other = authority();
        let authority = authority();
        let resolver = resolver(&authority);
        let first = server(&resolver);
        assert!(handshake(client(&authority, "elsewhere.pgops-system.svc"), first).is_err());
        assert!(handshake(client(&other, NAME), server(&resolver)).is_err());
    }

    #[test]
    fn next_connection_gets_a_replaced_certificate() {
        let authority = authority();
        let resolver = resolver(&authority);
        let before = server(&resolver);
        let before = handshake(client(&authority, NAME), before).unwrap();
        resolver.replace(serving(&authority));
        let after = handshake(client(&authority, NAME), server(&resolver)).unwrap();
        assert_ne!(before, after);
    }
}
