//! The cluster under test.

use anyhow::Context;
use kube::Client;
use kube::api::{Api, ListParams};
use pgops_api::PostgresVersion;

/// The cluster that `KUBECONFIG` names, with pgops installed.
#[derive(Clone)]
pub struct Cluster {
    /// A client with the permissions of the user who runs the tests.
    pub client: Client,
    /// Registry of the test images, `PGOPS_E2E_REGISTRY`.
    pub registry: String,
    /// The namespace that pgops is installed in, `PGOPS_E2E_SYSTEM`.
    pub system: String,
}

impl Cluster {
    /// Connects to the cluster; fails unless pgops is installed.
    #[expect(clippy::disallowed_methods, reason = "the cluster under test is chosen by KUBECONFIG")]
    pub async fn connect() -> anyhow::Result<Self> {
        // Fails if another test of this process has already installed it, which is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_default()
            .await
            .context("failed to read KUBECONFIG: run this as `tests/cluster/exec COMMAND`, or set it")?;
        let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let cluster = Self {
            client,
            registry: variable("PGOPS_E2E_REGISTRY", "localhost"),
            system: variable("PGOPS_E2E_SYSTEM", "pgops-system"),
        };
        cluster
            .catalog()
            .list(&ListParams::default())
            .await
            .context("failed to list the PostgresVersions: is pgops installed (make install)?")?;
        Ok(cluster)
    }

    /// The catalog's API.
    #[must_use]
    pub fn catalog(&self) -> Api<PostgresVersion> {
        Api::all(self.client.clone())
    }

    /// The catalog entry with this name.
    pub async fn catalog_entry(&self, name: &str) -> anyhow::Result<PostgresVersion> {
        self.catalog().get(name).await.with_context(|| format!("failed to read PostgresVersion {name}"))
    }
}
