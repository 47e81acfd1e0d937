//! A catalog entry of one test. Entries are cluster-scoped, so its name must not be another test's.

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
        let catalog = self.catalog();
        // Left by an interrupted run.
        let _ = catalog.delete(name, &DeleteParams::default()).await;
        let entry = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec}))?;
        catalog.create(&PostParams::default(), &entry).await?;
        let result = Box::pin(test()).await;
        let deleted = catalog.delete(name, &DeleteParams::default()).await;
        result?;
        deleted.map(drop).with_context(|| format!("failed to delete PostgresVersion {name}"))
    }
}
