//! A `PostgresOpsRequest` to be created.

use anyhow::ensure;
use pgops_api::PostgresOpsRequest;
use serde_json::{Value, json};

use crate::kubectl::Output;
use crate::namespace::Namespace;
use crate::request::UpgradeRequest;

impl Namespace {
    /// A request to be created.
    #[must_use]
    pub fn upgrade(&self, name: &str) -> UpgradeRequestBuilder {
        UpgradeRequestBuilder::new(self.clone(), name)
    }
}

/// A request to be created.
#[derive(Clone)]
pub struct UpgradeRequestBuilder {
    ns: Namespace,
    name: String,
    manifest: Value,
}

impl UpgradeRequestBuilder {
    fn new(ns: Namespace, name: &str) -> Self {
        let manifest = json!({
            "apiVersion": "ops.kubedb.com/v1alpha1",
            "kind": "PostgresOpsRequest",
            "metadata": {"name": name},
            "spec": {"type": "UpdateVersion", "databaseRef": {"name": ""}, "updateVersion": {"targetVersion": ""}},
        });
        Self { ns, name: name.to_owned(), manifest }
    }

    /// The database to upgrade.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.manifest["spec"]["databaseRef"]["name"] = json!(name);
        self
    }

    /// The name of the target `PostgresVersion`.
    #[must_use]
    pub fn to(mut self, version: &str) -> Self {
        self.manifest["spec"]["updateVersion"]["targetVersion"] = json!(version);
        self
    }

    /// Sets any field of the spec.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.manifest["spec"][name] = value;
        self
    }

    /// Removes a field of the spec.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Some(spec) = self.manifest["spec"].as_object_mut() {
            spec.remove(name);
        }
        self
    }

    /// Sets an annotation.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.manifest["metadata"]["annotations"][name] = json!(value);
        self
    }

    /// The manifest to apply.
    #[must_use]
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// Applies the manifest, which must be admitted.
    pub async fn create(self) -> anyhow::Result<UpgradeRequest> {
        self.ns.accepts(&self.manifest).await?;
        Ok(UpgradeRequest::new(self.ns, &self.name))
    }

    /// Applies the manifest, which must be denied with a message that contains all of `parts`.
    pub async fn rejected_with(&self, parts: &[&str]) -> anyhow::Result<String> {
        let message = self.ns.rejects(&self.manifest).await?;
        for part in parts {
            ensure!(message.contains(part), "the denial of {} should contain {part:?}: {message}", self.name);
        }
        ensure!(
            self.ns.api::<PostgresOpsRequest>().get_opt(&self.name).await?.is_none(),
            "{} was denied but is stored",
            self.name
        );
        Ok(message)
    }

    /// A dry run, which must be admitted.
    pub async fn dry_run(&self) -> anyhow::Result<Output> {
        let args = ["apply", "--dry-run=server", "-f", "-"];
        self.ns.kubectl(&args, Some(&self.manifest.to_string())).await?.succeeded()
    }
}
