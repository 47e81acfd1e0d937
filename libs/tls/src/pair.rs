//! The server's certificate and key, as they are mounted: whether a server can use them.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use pgops_api::tls::{AUTHORITY_KEY, CERTIFICATE_KEY, PRIVATE_KEY_KEY};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::files;

/// Why a server cannot use what is mounted. No message shows what is in a file.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("failed to read {0}: does the Secret have that key?")]
    Read(&'static str, #[source] io::Error),
    /// The file holds something else, or is truncated.
    #[error("{0} does not hold certificates in PEM")]
    Certificates(&'static str, #[source] pem::Error),
    /// The key file holds something else, or is truncated, or is encrypted.
    #[error("{PRIVATE_KEY_KEY} does not hold an unencrypted private key in PEM")]
    KeyPem(#[source] pem::Error),
    /// The key is of an unsupported type.
    #[error(
        "{PRIVATE_KEY_KEY} holds a key of a type, curve or length that pgops does not support: use ECDSA on the curves P-256 or \
         P-384, RSA of 2048 to 4096 bits (not RSA-PSS), or Ed25519"
    )]
    KeyType(#[source] TlsError),
    /// Certificate and key are not a pair.
    #[error("{PRIVATE_KEY_KEY} does not belong to {CERTIFICATE_KEY}")]
    Mismatch,
    /// A certificate is not X.509: a server does not start with it, be it one of the authorities.
    #[error("certificate {number} in {file} cannot be parsed: is it truncated?")]
    Unreadable {
        /// The key of the Secret.
        file: &'static str,
        /// Its place in the file, from 1.
        number: usize,
    },
    /// Clients authenticate by certificates, but the authority that signs them is missing.
    #[error(
        "{AUTHORITY_KEY} is missing, and clients authenticate by certificates: add the certificate of the authority that \
         signs theirs to the Secret"
    )]
    NoAuthority,
}

/// A certificate with its key that a server can use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerCertificate {
    /// The beginning of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Whether the certificate of an authority is mounted too.
    pub has_authority: bool,
}

impl ServerCertificate {
    /// Reads and checks what is mounted, as a server will read it. That it has expired does not keep a server from starting.
    ///
    /// With `verifies_clients` there must be an authority.
    pub fn read(directory: &Path, verifies_clients: bool) -> Result<Self, PairError> {
        let read =
            |name: &'static str| files::read(directory, name).map_err(|source| PairError::Read(name, source));
        let chain = certificates(CERTIFICATE_KEY, &read(CERTIFICATE_KEY)?)?;
        let (not_before, not_after) = validity(CERTIFICATE_KEY, &chain)?;
        check_key(chain, &read(PRIVATE_KEY_KEY)?)?;
        let authority = files::read_if_exists(directory, AUTHORITY_KEY)
            .map_err(|source| PairError::Read(AUTHORITY_KEY, source))?
            // cert-manager writes an empty one for a public authority.
            .filter(|content| !content.is_empty());
        match &authority {
            Some(content) => drop(validity(AUTHORITY_KEY, &certificates(AUTHORITY_KEY, content)?)?),
            None if verifies_clients => return Err(PairError::NoAuthority),
            None => {}
        }
        Ok(Self { not_before, not_after, has_authority: authority.is_some() })
    }
}

/// At least one certificate.
pub(crate) fn certificates(
    name: &'static str,
    content: &[u8],
) -> Result<Vec<CertificateDer<'static>>, PairError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(PairError::Certificates(name, pem::Error::NoItemsFound)),
        chain => chain.map_err(|source| PairError::Certificates(name, source)),
    }
}

fn check_key(chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Result<(), PairError> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(PairError::KeyPem)?;
    let key = CertifiedKey::new(chain, any_supported_type(&key).map_err(PairError::KeyType)?);
    match key.keys_match() {
        Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(_) => Err(PairError::Mismatch),
    }
}

/// When the first certificate is valid, if all of them can be parsed.
fn validity(file: &'static str, chain: &[CertificateDer<'_>]) -> Result<(Timestamp, Timestamp), PairError> {
    let mut first = None;
    for (index, certificate) in chain.iter().enumerate() {
        let found = dates(certificate).ok_or(PairError::Unreadable { file, number: index + 1 })?;
        first.get_or_insert(found);
    }
    first.ok_or(PairError::Certificates(file, pem::Error::NoItemsFound))
}

/// A date beyond what a timestamp can hold is the earliest or latest timestamp.
fn dates(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some((
        Timestamp::from_second(validity.not_before.timestamp()).unwrap_or(Timestamp::MIN),
        Timestamp::from_second(validity.not_after.timestamp()).unwrap_or(Timestamp::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Authority, write};
    use std::fs;

    fn read(directory: &Path) -> Result<ServerCertificate, PairError> {
        ServerCertificate::read(directory, true)
    }

    #[test]
    fn certificate_is_read_with_its_validity_and_its_authority() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        write(directory.path(), &authority, &authority.issue(&["orders.demo.svc"]));
        let found = read(directory.path()).unwrap();
        assert!(found.has_authority && found.not_before < found.not_after, "{found:?}");
    }

    #[test]
    fn key_of_another_certificate_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        write(directory.path(), &authority, &authority.issue(&["a"]));
        let other = authority.issue(&["a"]);
        fs::write(directory.path().join("tls.key"), other.key).unwrap();
        let error = read(directory.path()).unwrap_err();
        assert!(matches!(error, PairError::Mismatch), "{error}");
    }

    #[test]
    fn missing_and_malformed_files_are_named_without_their_content() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            write(directory.path(), &authority, &authority.issue(&["a"]));
            fs::write(directory.path().join(name), "s3cret").unwrap();
            let error = read(directory.path()).unwrap_err();
            let text = pgops_api::display_chain(&error);
            assert!(text.starts_with(name) && !text.contains("s3cret"), "{text}");
        }
        fs::remove_file(directory.path().join("tls.key")).unwrap();
        let error = read(directory.path()).unwrap_err().to_string();
        assert!(error.contains("tls.key"), "{error}");
    }

    /// A server does not start with such a file, and one that runs does not read its new certificate.
    #[test]
    fn certificate_of_an_authority_that_is_truncated_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for name in ["tls.crt", "ca.crt"] {
            write(directory.path(), &authority, &authority.issue(&["a"]));
            let path = directory.path().join(name);
            let whole = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{whole}\n{junk}")).unwrap();
            let error = read(directory.path()).unwrap_err();
            assert!(matches!(error, PairError::Unreadable { file, number: 2 } if file == name), "{error}");
        }
    }

    #[test]
    fn authority_is_required_only_to_verify_clients() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        write(directory.path(), &authority, &authority.issue(&["a"]));
        for content in [Some(""), None] {
            match content {
                Some(content) => fs::write(directory.path().join("ca.crt"), content).unwrap(),
                None => fs::remove_file(directory.path().join("ca.crt")).unwrap(),
            }
            assert!(matches!(read(directory.path()), Err(PairError::NoAuthority)));
            assert!(!ServerCertificate::read(directory.path(), false).unwrap().has_authority);
        }
    }
}
