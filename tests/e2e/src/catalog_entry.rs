//! Catalog entries of one test. Entries are cluster-scoped, so their names must not be another test's.

use std::time::Duration;

use anyhow::Context;
use kube::api::{DeleteParams, PostParams};
use pgops_api::Postgres;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::namespace::Namespace;
use crate::wait::eventually;

/// A new entry reaches the webhook's caches within milliseconds, if the machine is not busy.
const TIMEOUT: Duration = Duration::from_mins(1);

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

    /// Runs a test with its own catalog entries, each a name and a spec, which are deleted even if the test fails. Admission
    /// knows them when the test begins.
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
        let mut result = self.wait_until_known(entries).await;
        if result.is_ok() {
            result = Box::pin(test()).await;
        }
        for (name, _) in entries {
            let deleted = catalog.delete(name, &DeleteParams::default()).await;
            let deleted =
                deleted.map(drop).with_context(|| format!("failed to delete PostgresVersion {name}"));
            result = result.and(deleted);
        }
        result
    }

    /// Waits until admission accepts databases of these versions. By dry runs: nothing is stored.
    async fn wait_until_known(&self, entries: &[(String, Value)]) -> anyhow::Result<()> {
        let ns = Namespace::new(self.clone(), "default".to_owned());
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        for (name, _) in entries {
            let database: Postgres =
                serde_json::from_value(ns.postgres("asks").version(name).manifest().clone())?;
            eventually(&format!("admission to know PostgresVersion {name}"), TIMEOUT, async || {
                ns.api::<Postgres>().create(&dry_run, &database).await?;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}
