//! The server's certificate: mounted from a Secret, which changes when the certificate is renewed.
//!
//! A server is not started with files that it could not use. One that runs is told to read them again only when they are a
//! consistent pair; until then it keeps what it has read.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pgops_api::instance_status::{CertificateStatus, CertificateValidity};
use pgops_api::tls::{AUTHORITY_KEY, CERTIFICATE_KEY, PRIVATE_KEY_KEY, ServerTls};
use pgops_api::{display_chain, layout, names};
use pgops_tls::{Connector, ConnectorError, PairError, ServerCertificate};

use crate::report::StatusReport;

/// Interval between two looks at the files, which the kubelet replaces within about a minute after a change.
const INTERVAL: Duration = Duration::from_secs(5);

/// How the server of this pod speaks TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    pub server: ServerTls,
    directory: PathBuf,
    /// A name that its certificate has if it was issued for pgops.
    name: String,
}

impl Tls {
    /// TLS with the mounted certificate.
    pub fn new(server: ServerTls, namespace: &str, database: &str) -> Self {
        let name = names::service_host(database, namespace);
        Self { server, directory: PathBuf::from(layout::TLS_DIR), name }
    }

    /// What is mounted now, if a server can use it.
    pub fn read(&self) -> Result<ServerCertificate, PairError> {
        ServerCertificate::read(&self.directory, self.server.verifies_clients)
    }

    /// For a client in this pod.
    pub fn connector(&self) -> Result<Connector, ConnectorError> {
        Connector::read(&self.directory, None, &self.name)
    }
}

/// Why the mounted certificate cannot be used, as it is reported.
pub fn problem(error: &PairError) -> CertificateStatus {
    CertificateStatus { validity: None, problem: Some(display_chain(error)) }
}

/// Watches the certificate of a running server.
pub struct Watch {
    tls: Tls,
    report: Arc<StatusReport>,
    used: ServerCertificate,
    /// The content of the files when they were last read.
    seen: u64,
}

impl Watch {
    /// Reads the certificate that a server is about to be started with, and watches it.
    pub fn start(tls: Tls, report: Arc<StatusReport>) -> Result<Self, PairError> {
        let seen = fingerprint(&tls.directory);
        let used = tls.read()?;
        let watch = Self { tls, report, used, seen };
        watch.report(None);
        Ok(watch)
    }

    /// The certificate that the server uses, or is to use.
    pub fn used(&self) -> &ServerCertificate {
        &self.used
    }

    /// Waits until the server must read the files again. May be dropped and called again.
    pub async fn changed(&mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if self.look() {
                return;
            }
        }
    }

    /// Whether the files have changed and can be used.
    fn look(&mut self) -> bool {
        // Before they are read: a change in between is noticed by the next look.
        let now = fingerprint(&self.tls.directory);
        if now == self.seen {
            return false;
        }
        self.seen = now;
        match self.tls.read() {
            Ok(renewed) => {
                tracing::info!(not_after = %renewed.not_after, "the server's certificate has changed");
                self.used = renewed;
                self.report(None);
                true
            }
            Err(error) => {
                let problem = display_chain(&error);
                tracing::warn!(
                    "the server keeps its certificate, since the new one cannot be used: {problem}"
                );
                self.report(Some(problem));
                false
            }
        }
    }

    fn report(&self, problem: Option<String>) {
        let validity = CertificateValidity {
            not_before: self.used.not_before.as_second(),
            not_after: self.used.not_after.as_second(),
        };
        self.report.set_certificate(CertificateStatus { validity: Some(validity), problem });
    }
}

/// Waits until a server that speaks TLS must read its files again; one that does not never must.
pub async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Differs if the files differ. The private key is not kept for that.
fn fingerprint(directory: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    for name in [CERTIFICATE_KEY, PRIVATE_KEY_KEY, AUTHORITY_KEY] {
        fs::read(directory.join(name)).ok().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::tls::SslMode;
    use rcgen::{CertificateParams, KeyPair};

    fn tls(directory: &Path) -> Tls {
        let server = ServerTls { mode: SslMode::Require, verifies_clients: false };
        Tls { directory: directory.to_owned(), ..Tls::new(server, "demo", "orders") }
    }

    /// A certificate and its key.
    fn issue() -> [String; 2] {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["orders".to_owned()]).unwrap().self_signed(&key).unwrap();
        [certificate.pem(), key.serialize_pem()]
    }

    fn write(directory: &Path, [certificate, key]: &[String; 2]) {
        fs::write(directory.join("tls.crt"), certificate).unwrap();
        fs::write(directory.join("tls.key"), key).unwrap();
    }

    #[test]
    fn half_of_a_renewed_pair_is_not_read_and_the_whole_pair_is() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &issue());
        let report = StatusReport::new("/");
        let mut watch = Watch::start(tls(directory.path()), report.clone()).unwrap();
        assert!(!watch.look(), "nothing has changed");

        let renewed = issue();
        fs::write(directory.path().join("tls.crt"), &renewed[0]).unwrap();
        assert!(!watch.look());
        let status = report.current().certificate.unwrap();
        assert!(status.validity.is_some(), "it still serves");
        assert!(status.problem.unwrap().contains("tls.key does not belong to tls.crt"));

        write(directory.path(), &renewed);
        assert!(watch.look());
        assert_eq!(report.current().certificate.unwrap().problem, None);
        assert!(!watch.look());
    }

    #[test]
    fn server_is_not_started_without_its_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let error = Watch::start(tls(directory.path()), StatusReport::new("/")).err().unwrap();
        assert!(problem(&error).problem.unwrap().contains("tls.crt"));
    }
}
