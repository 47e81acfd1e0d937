//! TLS to the database, with what the launcher has mounted for it: the server's certificate and that of its authority, without
//! the key; and the superuser's own, if clients authenticate by certificates.

use std::path::{Path, PathBuf};

use pgops_api::{layout, names};
use pgops_tls::{Connector, ConnectorError};

/// Where the certificates are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DatabaseTls {
    server: PathBuf,
    client: Option<PathBuf>,
    name: String,
}

impl DatabaseTls {
    /// Those that this worker has; none if the database does not speak TLS.
    #[must_use]
    pub fn of_this_pod(namespace: &str, database: &str) -> Option<Self> {
        Self::mounted(
            Path::new(layout::TLS_DIR),
            Path::new(layout::CLIENT_TLS_DIR),
            &names::service_host(database, namespace),
        )
    }

    /// The kubelet mounts a directory, or none of its volume is in the pod.
    fn mounted(server: &Path, client: &Path, name: &str) -> Option<Self> {
        server.is_dir().then(|| Self {
            server: server.to_owned(),
            client: client.is_dir().then(|| client.to_owned()),
            name: name.to_owned(),
        })
    }

    /// What encrypts a connection. The files are read each time: certificates are renewed.
    pub fn connector(&self) -> Result<Connector, ConnectorError> {
        Connector::read(&self.server, self.client.as_deref(), &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_used_if_certificates_are_mounted() {
        let directory = tempfile::tempdir().unwrap();
        let absent = directory.path().join("absent");
        assert_eq!(DatabaseTls::mounted(&absent, &absent, "a"), None);
        let tls = DatabaseTls::mounted(directory.path(), &absent, "a").unwrap();
        assert_eq!((tls.server.as_path(), tls.client.clone()), (directory.path(), None));
        assert!(tls.connector().is_ok(), "the server is then verified by nothing, and so refused");
        let tls = DatabaseTls::mounted(directory.path(), directory.path(), "a").unwrap();
        let error = tls.connector().err().unwrap();
        assert!(pgops_api::display_chain(&error).contains("tls.crt"), "{error}");
    }
}
