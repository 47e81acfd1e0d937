//! A certificate and its key in files, and whether API servers would accept them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Serving;
use crate::authority::validity;
use crate::bundle::Bundle;

/// The keys of a Secret of type `kubernetes.io/tls`, as cert-manager fills them.
const CERTIFICATE: &str = "tls.crt";
const PRIVATE_KEY: &str = "tls.key";
const AUTHORITY: &str = "ca.crt";

/// Why a pair cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("failed to read {0}")]
    Read(&'static str, #[source] io::Error),
    /// The certificate file holds something else, or is cut off.
    #[error("{CERTIFICATE} is no PEM of certificates")]
    Certificate(#[source] pem::Error),
    /// The key file holds something else, or is cut off.
    #[error("{PRIVATE_KEY} is no PEM of a private key")]
    KeyPem(#[source] pem::Error),
    /// The key is of an unknown kind.
    #[error("{PRIVATE_KEY} is a key of a kind that is not supported: use ECDSA, RSA or Ed25519")]
    Key(#[source] rustls::Error),
    /// The halves are of different pairs.
    #[error("{PRIVATE_KEY} does not belong to {CERTIFICATE}")]
    Mismatch,
    /// There is nobody to trust.
    #[error("{AUTHORITY} holds no valid certificate: put the authority there that signed {CERTIFICATE}")]
    NoAuthority,
    /// The certificate's time is over.
    #[error("{CERTIFICATE} expired at {0}")]
    Expired(Timestamp),
    /// The certificate's time is yet to come.
    #[error("{CERTIFICATE} is not valid before {0}")]
    NotYetValid(Timestamp),
    /// The certificate is for others.
    #[error("{CERTIFICATE} is not valid for the name \"{0}\", by which API servers call")]
    Name(String),
    /// Somebody else signed it.
    #[error("{CERTIFICATE} was not signed by an authority in {AUTHORITY}")]
    Untrusted,
    /// Anything else that a client would object to.
    #[error("{CERTIFICATE} would not be accepted by API servers")]
    Refused(#[source] rustls::Error),
}

/// A pair that can be served, and whom API servers must trust for it.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub serving: Serving,
    pub trust: Bundle,
}

impl Pair {
    /// Reads `tls.crt`, `tls.key` and `ca.crt`, and checks them as an API server will, which calls `name`.
    pub(crate) fn read(directory: &Path, name: &str, now: Timestamp) -> Result<Self, PairError> {
        let file = |name: &'static str| {
            std::fs::read(directory.join(name)).map_err(|source| PairError::Read(name, source))
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&file(CERTIFICATE)?)
            .collect::<Result<_, _>>()
            .map_err(PairError::Certificate)?;
        let Some((first, others)) = chain.split_first() else {
            return Err(PairError::Certificate(pem::Error::NoItemsFound));
        };
        let key = PrivateKeyDer::from_pem_slice(&file(PRIVATE_KEY)?).map_err(PairError::KeyPem)?;
        let trust = Bundle::read(&file(AUTHORITY)?).valid(now);
        check(first, others, &trust, name, now)?;

        let not_after = X509Certificate::from_der(first).map_or(now, |(_, parsed)| validity(&parsed).1);
        let signer = any_supported_type(&key).map_err(PairError::Key)?;
        let key = CertifiedKey::new(chain, signer);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(PairError::Mismatch),
        }
        Ok(Self { serving: Serving::new(key, not_after, not_after), trust })
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.serving.key().cert == other.serving.key().cert && self.trust == other.trust
    }
}

/// Whether an API server that trusts these accepts the certificate for the name.
pub(crate) fn check(
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    trust: &Bundle,
    name: &str,
    now: Timestamp,
) -> Result<(), PairError> {
    let mut roots = RootCertStore::empty();
    for authority in trust.certificates() {
        // One that cannot be an anchor is none; another one may be.
        let _ = roots.add(authority.into_owned());
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
        .build()
        .map_err(|_| PairError::NoAuthority)?;
    let server = ServerName::try_from(name.to_owned()).map_err(|_| PairError::Name(name.to_owned()))?;
    let instant = u64::try_from(now.as_second()).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(instant));
    let Err(error) = verifier.verify_server_cert(certificate, others, &server, &[], time) else {
        return Ok(());
    };
    let (begin, end) =
        X509Certificate::from_der(certificate).map_or((now, now), |(_, parsed)| validity(&parsed));
    let rustls::Error::InvalidCertificate(reason) = &error else { return Err(PairError::Refused(error)) };
    Err(match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => PairError::Expired(end),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            PairError::NotYetValid(begin)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            PairError::Name(name.to_owned())
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => PairError::Untrusted,
        _ => PairError::Refused(error),
    })
}
