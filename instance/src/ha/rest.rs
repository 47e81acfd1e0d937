//! Patroni's REST API on this server. It knows its clients by the certificate that all servers of the database share.

use std::path::Path;
use std::time::Duration;

use axum::http::Request;
use kube::{Client, Config};
use pgops_api::layout::HA_SECRET_DIR;
use pgops_api::names;
use pgops_api::tls::{AUTHORITY_KEY, CERTIFICATE_KEY, PRIVATE_KEY_KEY};
use pgops_kube::connect::{self, ConnectError};
use pgops_volume::FileError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// Timeout of a request. Patroni reads its records before it answers.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why Patroni has not begun with what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("failed to use the authority in {HA_SECRET_DIR}")]
    Authority(#[from] pem::Error),
    #[error(transparent)]
    Client(#[from] ConnectError),
    #[error("failed to make a request to {0}")]
    Request(String),
    #[error("Patroni refuses: {0}")]
    Refused(String),
    #[error("failed to ask Patroni")]
    Unreachable(#[source] kube::Error),
    #[error("Patroni has not answered within {} s", TIMEOUT.as_secs())]
    Timeout(#[from] tokio::time::error::Elapsed),
}

impl From<kube::Error> for RestError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status.message),
            other => Self::Unreachable(other),
        }
    }
}

/// Has Patroni stop the server and clone it. It refuses to if it leads, and while it does something else.
pub async fn reinitialize() -> Result<(), RestError> {
    let client = client(Path::new(HA_SECRET_DIR))?;
    let path = "/reinitialize";
    let request = Request::post(path).body(b"{}".to_vec());
    let request = request.map_err(|_| RestError::Request(path.to_owned()))?;
    tokio::time::timeout(TIMEOUT, client.request_text(request)).await??;
    Ok(())
}

/// Of kube, whose client speaks TLS with a certificate of its own.
fn client(directory: &Path) -> Result<Client, RestError> {
    // The certificate has this name.
    let address = format!("https://localhost:{}", names::PATRONI_PORT);
    let file = |name: &str| directory.join(name).display().to_string();
    let mut config = address.parse().map(Config::new).map_err(|_| RestError::Request(address.clone()))?;
    config.root_cert = Some(authorities(&directory.join(AUTHORITY_KEY))?);
    config.auth_info.client_certificate = Some(file(CERTIFICATE_KEY));
    config.auth_info.client_key = Some(file(PRIVATE_KEY_KEY));
    // A refusal has the status of a server that is overloaded.
    config.default_retry = false;
    Ok(connect::client(config)?)
}

fn authorities(path: &Path) -> Result<Vec<Vec<u8>>, RestError> {
    let text = std::fs::read(path).map_err(FileError::on("read", path))?;
    CertificateDer::pem_slice_iter(&text).map(|certificate| Ok(certificate?.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use std::fs;

    #[tokio::test]
    async fn client_has_the_certificate_of_the_members() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(client(root.path()), Err(RestError::File(_))));
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let write = |name: &str, text: String| fs::write(root.path().join(name), text).unwrap();
        write(AUTHORITY_KEY, certificate.clone());
        write(CERTIFICATE_KEY, certificate);
        assert!(matches!(client(root.path()), Err(RestError::Client(_))), "there is no key");
        write(PRIVATE_KEY_KEY, key.serialize_pem());
        assert!(client(root.path()).is_ok());
    }
}
