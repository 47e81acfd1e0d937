//! A certificate and its key in files, and the checks that an API server would make.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pgops_api::tls::{AUTHORITY_KEY, CERTIFICATE_KEY, PRIVATE_KEY_KEY};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::bundle::Bundle;
use super::leaf::ServingCertificate;
use super::validity::validity;

/// Why a pair cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("failed to read {0}")]
    Read(&'static str, #[source] io::Error),
    /// The certificate file holds something else, or is truncated.
    #[error("{CERTIFICATE_KEY} does not hold certificates in PEM")]
    Certificate(#[source] pem::Error),
    /// The key file holds something else, or is truncated.
    #[error("{PRIVATE_KEY_KEY} does not hold a private key in PEM")]
    KeyPem(#[source] pem::Error),
    /// The key is of an unsupported type.
    #[error("{PRIVATE_KEY_KEY} holds a key of an unsupported type: use ECDSA, RSA or Ed25519")]
    Key(#[source] rustls::Error),
    /// Certificate and key are not a pair.
    #[error("{PRIVATE_KEY_KEY} does not belong to {CERTIFICATE_KEY}")]
    Mismatch,
    /// No CA to trust.
    #[error("{AUTHORITY_KEY} holds no valid certificate: put the CA there that signed {CERTIFICATE_KEY}")]
    NoAuthority,
    /// The certificate has expired.
    #[error("{CERTIFICATE_KEY} expired at {0}")]
    Expired(Timestamp),
    /// The certificate is not valid yet.
    #[error("{CERTIFICATE_KEY} is not valid before {0}")]
    NotYetValid(Timestamp),
    /// The certificate is for other names.
    #[error("{CERTIFICATE_KEY} is not valid for the name \"{0}\", which API servers use")]
    Name(String),
    /// Another CA signed it.
    #[error("{CERTIFICATE_KEY} was not signed by a CA in {AUTHORITY_KEY}")]
    Untrusted,
    /// Any other objection of a TLS client.
    #[error("API servers would not accept {CERTIFICATE_KEY}")]
    Rejected(#[source] rustls::Error),
}

/// A pair that can be served, and the CAs that API servers must trust for it.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub serving: ServingCertificate,
    pub trust: Bundle,
}

impl Pair {
    /// Reads `tls.crt`, `tls.key` and `ca.crt`, and checks them as an API server does that calls
    /// `server_name`.
    pub(crate) fn read(directory: &Path, server_name: &str, now: Timestamp) -> Result<Self, PairError> {
        let read = |file: &'static str| {
            std::fs::read(directory.join(file)).map_err(|source| PairError::Read(file, source))
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(CERTIFICATE_KEY)?)
            .collect::<Result<_, _>>()
            .map_err(PairError::Certificate)?;
        let Some((certificate, intermediates)) = chain.split_first() else {
            return Err(PairError::Certificate(pem::Error::NoItemsFound));
        };
        let key = PrivateKeyDer::from_pem_slice(&read(PRIVATE_KEY_KEY)?).map_err(PairError::KeyPem)?;
        let trust = Bundle::read(&read(AUTHORITY_KEY)?).valid(now);
        verify(certificate, intermediates, &trust, server_name, now)?;

        let not_after = X509Certificate::from_der(certificate).map_or(now, |(_, parsed)| validity(&parsed).1);
        let signer = any_supported_type(&key).map_err(PairError::Key)?;
        let key = CertifiedKey::new(chain, signer);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(PairError::Mismatch),
        }
        Ok(Self { serving: ServingCertificate::new(key, not_after, not_after), trust })
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.serving.key().cert == other.serving.key().cert && self.trust == other.trust
    }
}

/// Checks that an API server with this `caBundle` accepts the certificate for the name.
pub(crate) fn verify(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    trust: &Bundle,
    server_name: &str,
    now: Timestamp,
) -> Result<(), PairError> {
    let mut roots = RootCertStore::empty();
    for authority in trust.certificates() {
        // A certificate that cannot be a trust anchor is skipped; another one may match.
        let _ = roots.add(authority.into_owned());
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
        .build()
        .map_err(|_| PairError::NoAuthority)?;
    let name =
        ServerName::try_from(server_name.to_owned()).map_err(|_| PairError::Name(server_name.to_owned()))?;
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    match verifier.verify_server_cert(certificate, intermediates, &name, &[], time) {
        Ok(_) => Ok(()),
        Err(error) => Err(explain(error, certificate, server_name, now)),
    }
}

/// Turns the verifier's error into one that names the file.
fn explain(
    error: rustls::Error,
    certificate: &CertificateDer<'_>,
    server_name: &str,
    now: Timestamp,
) -> PairError {
    let rustls::Error::InvalidCertificate(reason) = &error else { return PairError::Rejected(error) };
    let (not_before, not_after) =
        X509Certificate::from_der(certificate).map_or((now, now), |(_, parsed)| validity(&parsed));
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => PairError::Expired(not_after),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            PairError::NotYetValid(not_before)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            PairError::Name(server_name.to_owned())
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => PairError::Untrusted,
        _ => PairError::Rejected(error),
    }
}
