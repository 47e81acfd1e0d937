//! The service account of the pod: how this proxy proves to the API server who it is, and how it knows the API server.
//!
//! The files are read when they are used. The kubelet replaces them by a new directory that a link points to, and they are
//! in memory, so that a read takes microseconds: a token that is kept would be one more thing that can be too old.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::header::HeaderValue;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// The mounted files of a service account.
#[derive(Debug)]
pub struct Credentials {
    token: PathBuf,
    authorities: PathBuf,
}

/// A file of the service account cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("failed to read {}: mount a projected volume with a token and the cluster's certificates", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The token has characters that a header cannot have, or none.
    #[error("failed to use {}: it is not a token", .0.display())]
    Token(PathBuf),
    /// The certificates cannot be parsed.
    #[error("failed to parse the certificates in {}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// No certificate of the file can be an authority.
    #[error("failed to find a certificate in {}", .0.display())]
    NoAuthority(PathBuf),
    /// rustls has no protocol for the provider.
    #[error("failed to set up TLS")]
    Tls(#[source] rustls::Error),
}

impl Credentials {
    /// The files in the directory of a service account: `token` and `ca.crt`.
    pub fn in_directory(directory: &Path) -> Self {
        Self { token: directory.join("token"), authorities: directory.join("ca.crt") }
    }

    /// The current token, as the value of a header that no log shows.
    pub fn authorization(&self) -> Result<HeaderValue, CredentialsError> {
        let token = std::fs::read_to_string(&self.token).map_err(read_failed(&self.token))?;
        let token = token.trim();
        let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let value = is_token.then(|| HeaderValue::try_from(format!("Bearer {token}")).ok()).flatten();
        let mut value = value.ok_or_else(|| CredentialsError::Token(self.token.clone()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// TLS that trusts the current authorities of the cluster.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, CredentialsError> {
        let path = &self.authorities;
        let pem = std::fs::read(path).map_err(read_failed(path))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate =
                certificate.map_err(|source| CredentialsError::Pem { path: path.clone(), source })?;
            // Those that cannot be an authority verify nothing.
            let _ = roots.add(certificate);
        }
        if roots.is_empty() {
            return Err(CredentialsError::NoAuthority(path.clone()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CredentialsError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn read_failed(path: &Path) -> impl FnOnce(io::Error) -> CredentialsError {
    let path = path.to_owned();
    move |source| CredentialsError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn token_is_read_at_each_use_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let credentials = Credentials::in_directory(directory.path());
        for token in ["first", "second\n"] {
            fs::write(directory.path().join("token"), token).unwrap();
            let header = credentials.authorization().unwrap();
            assert_eq!(header.to_str().unwrap(), format!("Bearer {}", token.trim()));
            assert!(!format!("{header:?}").contains(token.trim()));
        }
    }

    #[test]
    fn file_that_is_missing_or_not_a_token_is_named_and_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let credentials = Credentials::in_directory(directory.path());
        let error = credentials.authorization().unwrap_err().to_string();
        assert!(error.contains("/token: mount a projected volume"), "{error}");
        for content in ["", "\n", "a secret with\na line"] {
            fs::write(directory.path().join("token"), content).unwrap();
            let error = credentials.authorization().unwrap_err().to_string();
            assert!(error.ends_with("/token: it is not a token"), "{error}");
        }
    }

    #[test]
    fn authorities_are_read_at_each_use() {
        let directory = tempfile::tempdir().unwrap();
        let credentials = Credentials::in_directory(directory.path());
        assert!(matches!(credentials.tls(), Err(CredentialsError::Read { .. })));
        fs::write(directory.path().join("ca.crt"), "").unwrap();
        assert!(matches!(credentials.tls(), Err(CredentialsError::NoAuthority(_))));
        let authority = rcgen::generate_simple_self_signed(["kubernetes".to_owned()]).unwrap();
        fs::write(directory.path().join("ca.crt"), authority.cert.pem()).unwrap();
        credentials.tls().unwrap();
    }
}
