//! The cluster under test, and a namespace for each test.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use futures::FutureExt;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::process::Command;

use crate::{Namespace, diagnostics, wait_for};

/// Every pod that is made in a test must satisfy it.
const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";
/// So many volumes without a claim are worth a program of its own; the pool has 64.
const MANY_VOLUMES: usize = 16;
/// Finalizers and a clean shutdown of the databases fit in.
const LONGEST_CLEANUP: Duration = Duration::from_mins(3);

/// The cluster that `KUBECONFIG` names, with pgops installed.
#[derive(Clone)]
pub struct Cluster {
    /// A client with the rights of the person who runs the tests.
    pub client: Client,
    /// Where the images of the tests are, `PGOPS_E2E_REGISTRY`.
    pub registry: String,
    /// The namespace that pgops was installed in, `PGOPS_E2E_SYSTEM`.
    pub system: String,
}

impl Cluster {
    /// Connects to the cluster; fails unless pgops is installed.
    pub async fn connect() -> anyhow::Result<Self> {
        // Fails when another test of this process was first, which is as good.
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
        Api::<pgops_api::PostgresVersion>::all(cluster.client.clone())
            .list(&ListParams::default())
            .await
            .context("failed to list the catalog of PostgresVersions: is pgops installed (make install)?")?;
        Ok(cluster)
    }

    /// Runs `test` in a namespace of its own, which is gone afterwards; `PGOPS_E2E_KEEP=1` keeps that
    /// of a failed test.
    ///
    /// A failure prints what a person would look at: objects, conditions, logs and events.
    /// That the namespace goes is a part of every test: nothing that pgops made may hold it.
    pub async fn with_namespace(
        &self,
        test: impl AsyncFnOnce(&Namespace) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let ns = self.create_namespace(&name_of_test()).await?;
        let result = AssertUnwindSafe(Box::pin(test(&ns))).catch_unwind().await;
        let result = result.unwrap_or_else(|panic| Err(anyhow!("panicked: {}", text_of(&*panic))));
        if let Err(error) = &result {
            eprintln!("--- {} failed: {error:?}", ns.name());
            diagnostics::print(&ns).await;
            if std::env::var_os("PGOPS_E2E_KEEP").is_some() {
                eprintln!("--- {} is kept", ns.name());
                return result;
            }
        }
        let cleaned = self.delete_namespace(ns.name()).await;
        result.and(cleaned)
    }

    /// Creates a namespace whose name begins with `prefix` and that admits restricted pods only.
    async fn create_namespace(&self, prefix: &str) -> anyhow::Result<Namespace> {
        let namespace = serde_json::from_value(json!({
            "metadata": {"generateName": format!("{prefix}-"), "labels": {POD_SECURITY: "restricted"}}
        }))?;
        let namespaces = Api::<core::Namespace>::all(self.client.clone());
        let created = namespaces.create(&PostParams::default(), &namespace).await;
        Ok(Namespace::new(self.clone(), created.context("failed to create a namespace")?.name_any()))
    }

    /// Deletes a namespace and waits until it is gone.
    pub async fn delete_namespace(&self, name: &str) -> anyhow::Result<()> {
        let namespaces = Api::<core::Namespace>::all(self.client.clone());
        if namespaces.get_opt(name).await?.is_none() {
            return Ok(());
        }
        namespaces.delete(name, &DeleteParams::default()).await?;
        wait_for(&namespaces, name, "the end", LONGEST_CLEANUP, |found| found.is_none()).await?;
        self.return_volumes().await
    }

    /// Returns volumes without a claim, before the pool is used up.
    async fn return_volumes(&self) -> anyhow::Result<()> {
        let volumes = Api::<core::PersistentVolume>::all(self.client.clone());
        let is_released = |volume: &core::PersistentVolume| {
            volume.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Released"))
        };
        let released = volumes
            .list(&ListParams::default())
            .await?
            .items
            .iter()
            .filter(|volume| is_released(volume))
            .count();
        if released >= MANY_VOLUMES { recycle_volumes().await } else { Ok(()) }
    }
}

/// Gives volumes without a claim back to the test cluster's pool; does nothing on a cluster of another kind.
pub async fn recycle_volumes() -> anyhow::Result<()> {
    const RECYCLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/recycle-volumes");
    let status = Command::new(RECYCLE).status().await.with_context(|| format!("failed to run {RECYCLE}"))?;
    ensure!(status.success(), "{RECYCLE} failed");
    Ok(())
}

/// The running test's name, as a part of an object's name.
fn name_of_test() -> String {
    let thread = std::thread::current();
    let name = thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or("test");
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(45).collect();
    format!("e2e-{}", name.trim_matches('-').to_ascii_lowercase())
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
