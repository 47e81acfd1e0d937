use super::*;
use crate::fixtures::{Authority, Issued, write};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use std::fs;
use tokio::io::duplex;
use tokio_rustls::TlsAcceptor;

const NAME: &str = "orders.demo.svc";

fn acceptor(issued: &Issued, clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(default_provider());
    let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

/// A server that answers the question for TLS with `answer`, and then a byte.
async fn connect(connector: &Connector, acceptor: TlsAcceptor, answer: u8) -> io::Result<u8> {
    let (near, mut far) = duplex(4096);
    let server = tokio::spawn(async move {
        let mut request = [0; SSL_REQUEST.len()];
        far.read_exact(&mut request).await?;
        assert_eq!(request, SSL_REQUEST);
        far.write_all(&[answer]).await?;
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"x").await?;
        stream.flush().await
    });
    let result = async { connector.start_tls(near).await?.read_u8().await }.await;
    // It fails too if the handshake does.
    let _ = server.await.unwrap();
    result
}

fn connector(authority: Option<&Authority>, pinned: Option<&Issued>) -> Connector {
    let directory = tempfile::tempdir().unwrap();
    if let Some(authority) = authority {
        fs::write(directory.path().join("ca.crt"), &authority.certificate).unwrap();
    }
    if let Some(pinned) = pinned {
        fs::write(directory.path().join("tls.crt"), &pinned.certificate).unwrap();
    }
    Connector::read(directory.path(), None, NAME).unwrap()
}

#[tokio::test]
async fn server_is_known_by_its_certificate_whatever_its_names() {
    let authority = Authority::new();
    let own = authority.issue(&["db.example"]);
    assert_eq!(connect(&connector(None, Some(&own)), acceptor(&own, None), b'S').await.unwrap(), b'x');
}

#[tokio::test]
async fn renewed_certificate_is_known_by_its_authority_and_the_name_of_the_database() {
    let authority = Authority::new();
    let [old, new, foreign] = [NAME, NAME, "shop.demo.svc"].map(|name| authority.issue(&[name]));
    let connector = connector(Some(&authority), Some(&old));
    assert!(connect(&connector, acceptor(&new, None), b'S').await.is_ok());
    assert!(connect(&connector, acceptor(&foreign, None), b'S').await.is_err(), "another database");
    let impostor = Authority::new().issue(&[NAME]);
    assert!(connect(&connector, acceptor(&impostor, None), b'S').await.is_err(), "another authority");
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_without_tls_or_without_a_known_certificate() {
    let authority = Authority::new();
    let own = authority.issue(&[NAME]);
    let known = connector(Some(&authority), None);
    let error = connect(&known, acceptor(&own, None), b'N').await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(connect(&connector(None, None), acceptor(&own, None), b'S').await.is_err());
}

#[tokio::test]
async fn client_authenticates_by_its_certificate() {
    let authority = Authority::new();
    let (server, client) = (authority.issue(&[NAME]), authority.issue(&["postgres"]));
    let [of_server, of_client] = [&server, &client].map(|issued| {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &authority, issued);
        directory
    });
    let with = Connector::read(of_server.path(), Some(of_client.path()), NAME).unwrap();
    assert!(connect(&with, acceptor(&server, Some(&authority)), b'S').await.is_ok());
    let without = Connector::read(of_server.path(), None, NAME).unwrap();
    assert!(connect(&without, acceptor(&server, Some(&authority)), b'S').await.is_err());
}
