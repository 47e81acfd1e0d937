//! Catalog entries of one test. Entries are cluster-scoped, so their names must not be another test's.

use anyhow::Context;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::Cluster;

impl Cluster {
    /// Runs a test with its own catalog entry, which is deleted even if the test fails.
    pub async fn with_catalog_entry(
        &self,
        name: &str,
        spec: Value,
        test: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.with_catalog_entries(&[(name.to_owned(), spec)], test).await
    }

    /// Runs a test with its own catalog entries, each a name and a spec, which are deleted even if the test fails.
    pub async fn with_catalog_entries(
        &self,
        entries: &[(String, Value)],
        test: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let catalog = self.catalog();
        for (name, spec) in entries {
            // Left by an interrupted run.
            let _ = catalog.delete(name, &DeleteParams::default()).await;
            let entry = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec}))?;
            catalog.create(&PostParams::default(), &entry).await?;
        }
        let mut result = Box::pin(test()).await;
        for (name, _) in entries {
            let deleted = catalog.delete(name, &DeleteParams::default()).await;
            let deleted =
                deleted.map(drop).with_context(|| format!("failed to delete PostgresVersion {name}"));
            result = result.and(deleted);
        }
        result
    }
}
