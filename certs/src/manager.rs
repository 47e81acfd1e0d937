//! Keeps the certificates valid: reconciles whenever an object has changed, and periodically.

use std::convert::Infallible;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use kube::{Api, Client};
use pgops_api::display_chain;

use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::error::Error;
use crate::names::Names;
use crate::settings::{Settings, Source};
use crate::sources::{Context, Files, SelfSigned};
use crate::store::{Configurations, SecretStore};

/// How often the wall clock is checked. One timer for the whole period would stop while a machine sleeps.
const CLOCK_CHECK: Duration = Duration::from_mins(1);
/// How often files are read. The kubelet swaps a symlink, which causes no inotify event on the file.
const FILE_CHECK: Duration = Duration::from_secs(10);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// Maintains the certificates of one replica, and the `caBundle` of the webhook configurations.
pub struct CertificateManager {
    backend: Backend,
    certificates: Certificates,
    /// The last error that was logged, until a reconciliation succeeds.
    last_error: Option<String>,
}

/// The configured source.
enum Backend {
    SelfSigned(Box<SelfSigned>),
    Files(Box<Files>),
}

impl CertificateManager {
    /// A manager that publishes its results in `certificates`.
    #[must_use]
    pub fn new(
        client: &Client,
        names: &Names,
        source: Source,
        settings: Settings,
        certificates: Certificates,
    ) -> Self {
        certificates.set_source(&source);
        let context = Context {
            configurations: Configurations::new(client, &names.configuration),
            settings,
            clock: Clock::system(),
            certificates: certificates.clone(),
        };
        let backend = match source {
            Source::SelfSigned { secret } => {
                let secrets = Api::namespaced(client.clone(), &names.namespace);
                let store = SecretStore { secrets, name: secret };
                Backend::SelfSigned(Box::new(SelfSigned::new(store, names.dns_names(), context)))
            }
            Source::Directory(directory) => {
                Backend::Files(Box::new(Files::new(directory, names.server_name(), context)))
            }
        };
        Self { backend, certificates, last_error: None }
    }

    /// Waits until there is a certificate to serve with. An unusable Secret fails at once, so that an
    /// operator notices.
    pub async fn initial_certificate(&mut self) -> Result<(), Error> {
        loop {
            match self.backend.reconcile().await {
                // Any other failure is for `run` to report and repair.
                _ if self.certificates.is_serving() => return Ok(()),
                Err(error) if !error.is_transient() => return Err(error),
                result => self.record_result(&result),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Maintains the certificates and the `caBundle` for as long as it is polled.
    pub async fn run(&mut self) -> Result<Infallible, Error> {
        let mut changes = self.backend.changes();
        loop {
            let result = self.reconcile().await;
            let pause = if result.is_ok() { self.backend.check_interval() } else { RETRY };
            tokio::select! {
                change = changes.next() => change.ok_or(Error::WatchEnded)?,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn reconcile(&mut self) -> Result<(), Error> {
        let result = self.backend.reconcile().await;
        self.record_result(&result);
        result
    }

    /// Updates the status, and logs a failure once, as well as its end.
    fn record_result(&mut self, result: &Result<(), Error>) {
        let error = result.as_ref().err().map(|error| display_chain(error as &dyn std::error::Error));
        match result {
            Ok(()) => self.certificates.set_rejection(None),
            Err(failure) if failure.is_rejection() => self.certificates.set_rejection(error.as_ref()),
            Err(_) => {}
        }
        if error == self.last_error {
            return;
        }
        match &error {
            Some(error) if self.certificates.is_serving() => {
                tracing::warn!(%error, "certificate check failed; keeping the last good certificate");
            }
            Some(error) => tracing::warn!(%error, "no certificate yet"),
            None => tracing::info!("certificate check passed again"),
        }
        self.last_error = error;
    }
}

impl Backend {
    async fn reconcile(&mut self) -> Result<(), Error> {
        match self {
            Self::SelfSigned(source) => source.reconcile().await,
            Self::Files(source) => source.reconcile().await,
        }
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        match self {
            Self::SelfSigned(source) => source.changes(),
            Self::Files(source) => source.changes(),
        }
    }

    fn check_interval(&self) -> Duration {
        match self {
            Self::SelfSigned(_) => CLOCK_CHECK,
            Self::Files(_) => FILE_CHECK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{SECRET, api_server, change_secret, names, secret, settings};
    use k8s_openapi::ByteString;
    use pgops_testing::fake_api_server::FakeApiServer;

    fn manager(api: &FakeApiServer, certificates: Certificates) -> CertificateManager {
        let source = Source::SelfSigned { secret: SECRET.into() };
        CertificateManager::new(&api.client(), &names(), source, settings(), certificates)
    }

    #[tokio::test]
    async fn status_reports_a_rejection_until_it_is_fixed() {
        let api = api_server();
        let certificates = Certificates::default();
        let mut manager = manager(&api, certificates.clone());
        manager.initial_certificate().await.unwrap();
        let good = secret(&api);
        change_secret(&api, |secret| _ = secret.data.as_mut().unwrap().remove("ca.key"));
        manager.reconcile().await.unwrap_err();
        assert!(certificates.status().rejection.as_ref().unwrap().contains("no key \"ca.key\""));
        change_secret(&api, |secret| secret.data = good.data);
        manager.reconcile().await.unwrap();
        assert_eq!(certificates.status().rejection, None);
    }

    #[tokio::test]
    async fn garbage_at_startup_ends_the_process_with_the_remedy() {
        let api = api_server();
        change_secret(&api, |secret| {
            let entry = |key: &str| (key.to_owned(), ByteString(b"x".to_vec()));
            secret.data = Some([entry("ca.crt"), entry("ca.key")].into());
        });
        let error = manager(&api, Certificates::default()).initial_certificate().await.unwrap_err();
        assert!(error.to_string().contains("restore it"), "{error}");
    }
}
