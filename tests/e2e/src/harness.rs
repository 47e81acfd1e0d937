//! Runs a test in its own namespace.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures::FutureExt;
use k8s_openapi::api::core::v1 as core;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::Namespace;
use crate::wait::wait_for;
use crate::{diagnostics, requirements, volume_pool};

/// The pod security standard that every pod in the test's namespace must satisfy.
const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";
/// The controller of service accounts also serves the namespaces of other tests.
const ACCOUNT_TIMEOUT: Duration = Duration::from_mins(1);
/// Enough for finalizers and a clean shutdown of the databases.
const CLEANUP_TIMEOUT: Duration = Duration::from_mins(3);

/// Connects to the cluster and runs `test` as [`Cluster::with_namespace`] does.
pub async fn with_namespace(test: impl AsyncFnOnce(&Namespace) -> anyhow::Result<()>) -> anyhow::Result<()> {
    Cluster::connect().await?.with_namespace(test).await
}

impl Cluster {
    /// Runs `test` in its own namespace, which is deleted afterwards; `PGOPS_E2E_KEEP=1` keeps the namespace of a
    /// failed test.
    ///
    /// A failure prints what helps to debug it: objects, conditions, logs and events.
    /// The deletion is part of every test: nothing that pgops created may block it.
    pub async fn with_namespace(
        &self,
        test: impl AsyncFnOnce(&Namespace) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        requirements::check(self).await?;
        volume_pool::wait_until_free(self).await?;
        let ns = create_namespace(self, &test_name()).await?;
        let result = AssertUnwindSafe(Box::pin(test(&ns))).catch_unwind().await;
        let result = result.unwrap_or_else(|panic| Err(anyhow!("panicked: {}", panic_message(&*panic))));
        if let Err(error) = &result {
            eprintln!("--- {} failed: {error:?}", ns.name());
            diagnostics::print(&ns).await;
            if std::env::var_os("PGOPS_E2E_KEEP").is_some() {
                eprintln!("--- {} is kept", ns.name());
                return result;
            }
        }
        let cleaned_up = delete_namespace(self, ns.name()).await;
        result.and(cleaned_up)
    }
}

/// Creates a namespace whose name begins with `prefix` and that admits only restricted pods, and waits until it does.
async fn create_namespace(cluster: &Cluster, prefix: &str) -> anyhow::Result<Namespace> {
    let namespace = serde_json::from_value(json!({
        "metadata": {"generateName": format!("{prefix}-"), "labels": {POD_SECURITY: "restricted"}}
    }))?;
    let namespaces = Api::<core::Namespace>::all(cluster.client.clone());
    let created = namespaces.create(&PostParams::default(), &namespace).await;
    let ns = Namespace::new(cluster.clone(), created.context("failed to create a namespace")?.name_any());
    // No pod is admitted before Kubernetes has made it.
    let exists = |account: Option<&core::ServiceAccount>| account.is_some();
    wait_for(&ns.api(), "default", "the service account of pods", ACCOUNT_TIMEOUT, exists).await?;
    Ok(ns)
}

/// Deletes a namespace and waits until it no longer exists.
async fn delete_namespace(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let namespaces = Api::<core::Namespace>::all(cluster.client.clone());
    if namespaces.get_opt(name).await?.is_none() {
        return Ok(());
    }
    namespaces.delete(name, &DeleteParams::default()).await?;
    wait_for(&namespaces, name, "the deletion", CLEANUP_TIMEOUT, |found| found.is_none()).await?;
    volume_pool::return_volumes(cluster, name).await
}

/// The running test's name, as part of an object's name.
fn test_name() -> String {
    let thread = std::thread::current();
    let name = thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or("test");
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(45).collect();
    format!("e2e-{}", name.trim_matches('-').to_ascii_lowercase())
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
