//! Which server a client of pgops trusts: the one whose certificate is in the database's Secret, or one with the name of the
//! database that the authority in the Secret has signed.
//!
//! The first needs no authority and no name, which the certificate of a user need not have. The second is for the minute in
//! which a renewed certificate is mounted in one pod and not yet in the other.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};

/// Verifies the certificate of a database's server.
#[derive(Debug)]
pub(crate) struct DatabaseVerifier {
    pinned: Option<CertificateDer<'static>>,
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    name: ServerName<'static>,
    provider: Arc<CryptoProvider>,
}

impl DatabaseVerifier {
    /// Trusts exactly `pinned`, and what one of the authorities has signed for `name`.
    pub fn new(
        pinned: Option<CertificateDer<'static>>,
        authorities: Vec<CertificateDer<'static>>,
        name: ServerName<'static>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            // One that cannot be a trust anchor is skipped; another one may match.
            let _ = roots.add(authority);
        }
        // It fails without any authority.
        let by_authority =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().ok();
        Self { pinned, by_authority, name, provider }
    }
}

impl ServerCertVerifier for DatabaseVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if self.pinned.as_ref().is_some_and(|pinned| pinned == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.by_authority {
            Some(verifier) => {
                verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
