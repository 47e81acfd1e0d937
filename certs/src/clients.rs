//! The certificates of clients: with a CA for them, only clients that it has certified can connect.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pgops_api::display_chain;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

/// How often the file is read. The kubelet swaps a symlink, which causes no inotify event on the file.
const FILE_CHECK: Duration = Duration::from_secs(10);

/// Why the CA for clients cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientAuthorityError {
    /// The file cannot be read.
    #[error("failed to read {file}: mount the certificate of the CA for clients there")]
    Read {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "failed to read {file}: it must hold the certificates of the CA for clients in PEM, and nothing else"
    )]
    Pem {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// A certificate cannot be used as a CA.
    #[error("failed to use {file}: it holds a certificate that cannot be trusted as a CA")]
    Certificate {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// There is no certificate in it, or rustls cannot use it.
    #[error("failed to use {file}: it holds no certificate of a CA")]
    Verifier {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: VerifierBuilderError,
    },
}

/// The CA for clients, in a file that is maintained elsewhere. A change of the file applies to new connections.
pub struct ClientAuthority {
    file: PathBuf,
    current: ArcSwap<Current>,
}

struct Current {
    /// The content of the file.
    pem: Vec<u8>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientAuthority {
    /// Reads the file. Uses the process's default crypto provider, which must be installed.
    pub fn read(file: PathBuf) -> Result<Self, ClientAuthorityError> {
        let current = Current::parse(&file, read(&file)?)?;
        Ok(Self { file, current: ArcSwap::from_pointee(current) })
    }

    /// Reads the file again whenever it may have changed, for as long as it is polled. Logs a failure once, as well as
    /// its end, and keeps the last good CA meanwhile.
    pub async fn watch(&self) -> Infallible {
        let mut last_error = None;
        loop {
            tokio::time::sleep(FILE_CHECK).await;
            let error = self.reload().err().map(|error| display_chain(&error));
            match &error {
                _ if error == last_error => {}
                Some(error) => tracing::warn!(%error, "keeping the last good CA for clients"),
                None => tracing::info!("the CA for clients is valid again"),
            }
            last_error = error;
        }
    }

    /// Reads the file again, and uses it if it has changed.
    fn reload(&self) -> Result<(), ClientAuthorityError> {
        let pem = read(&self.file)?;
        if pem != self.current.load().pem {
            self.current.store(Arc::new(Current::parse(&self.file, pem)?));
            tracing::info!(file = %self.file.display(), "loaded a changed CA for clients");
        }
        Ok(())
    }

    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        self.current.load().verifier.clone()
    }
}

fn read(file: &Path) -> Result<Vec<u8>, ClientAuthorityError> {
    std::fs::read(file)
        .map_err(|source| ClientAuthorityError::Read { file: file.display().to_string(), source })
}

impl Current {
    fn parse(file: &Path, pem: Vec<u8>) -> Result<Self, ClientAuthorityError> {
        let file = || file.display().to_string();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate =
                certificate.map_err(|source| ClientAuthorityError::Pem { file: file(), source })?;
            roots
                .add(certificate)
                .map_err(|source| ClientAuthorityError::Certificate { file: file(), source })?;
        }
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .build()
            .map_err(|source| ClientAuthorityError::Verifier { file: file(), source })?;
        Ok(Self { pem, verifier })
    }
}

impl fmt::Debug for ClientAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuthority").field("file", &self.file).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for ClientAuthority {
    // No hints, since they cannot change with the file: a client without hints sends the certificate it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verifier().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier().supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{DAY, authority, begin};
    use crate::pki::Authority;
    use rustls::crypto::ring::default_provider;
    use std::fs;
    use tempfile::TempDir;

    /// The file of the CA for clients.
    struct Scene {
        directory: TempDir,
        clients: ClientAuthority,
    }

    impl Scene {
        fn new(pem: &str) -> Result<Self, ClientAuthorityError> {
            // Another test may have installed it.
            let _ = default_provider().install_default();
            let directory = TempDir::new().unwrap();
            let file = directory.path().join("ca.crt");
            fs::write(&file, pem).unwrap();
            Ok(Self { clients: ClientAuthority::read(file)?, directory })
        }

        fn change(&self, pem: &str) -> Result<(), ClientAuthorityError> {
            fs::write(self.directory.path().join("ca.crt"), pem).unwrap();
            self.clients.reload()
        }

        /// Whether a certificate of this CA is accepted.
        fn accepts(&self, authority: &Authority) -> bool {
            let names = ["kube-apiserver".to_owned()];
            let certificate = authority.sign_for_client(&names, begin(), begin() + DAY);
            let now =
                UnixTime::since_unix_epoch(Duration::from_secs(begin().as_second().unsigned_abs() + 60));
            self.clients.verify_client_cert(certificate.der(), &[], now).is_ok()
        }
    }

    #[test]
    fn changed_file_replaces_the_ca() {
        let [old, new] = [authority(), authority()];
        let scene = Scene::new(old.certificate()).unwrap();
        assert_eq!((scene.accepts(&old), scene.accepts(&new)), (true, false));
        scene.change(&[old.certificate(), new.certificate()].concat()).unwrap();
        assert_eq!((scene.accepts(&old), scene.accepts(&new)), (true, true));
        scene.change(new.certificate()).unwrap();
        assert_eq!((scene.accepts(&old), scene.accepts(&new)), (false, true));
    }

    #[test]
    fn unusable_file_is_rejected_and_the_last_good_ca_stays() {
        let authority = authority();
        let garbage = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let truncated = &authority.certificate()[..authority.certificate().len() / 2];
        for pem in ["", "hello", garbage, truncated] {
            assert!(Scene::new(pem).is_err(), "{pem:?}");
            let scene = Scene::new(authority.certificate()).unwrap();
            scene.change(pem).unwrap_err();
            assert!(scene.accepts(&authority), "{pem:?}");
        }
        let scene = Scene::new(authority.certificate()).unwrap();
        fs::remove_file(scene.directory.path().join("ca.crt")).unwrap();
        scene.clients.reload().unwrap_err();
        assert!(scene.accepts(&authority));
    }
}
