//! One namespace of the cluster.

use std::fmt::Debug;

use anyhow::{Context, ensure};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, PostParams};
use kube::{Resource, ResourceExt};
use pgops_api::names;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::kubectl::{Output, kubectl};

/// An object of a kind that lives in a namespace.
pub trait NamespacedObject:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize
{
}

impl<K> NamespacedObject for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
{
}

/// A namespace of the cluster.
#[derive(Clone)]
pub struct Namespace {
    cluster: Cluster,
    name: String,
}

impl Namespace {
    /// The existing namespace `name`.
    #[must_use]
    pub fn new(cluster: Cluster, name: String) -> Self {
        Self { cluster, name }
    }

    /// The namespace's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster of the namespace.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The API of one kind in this namespace.
    #[must_use]
    pub fn api<K: NamespacedObject>(&self) -> Api<K> {
        Api::namespaced(self.cluster.client.clone(), &self.name)
    }

    /// Runs kubectl in this namespace.
    pub async fn kubectl(&self, args: &[&str], input: Option<&str>) -> anyhow::Result<Output> {
        let mut all = vec!["--namespace", &self.name];
        all.extend(args);
        kubectl(&all, input).await
    }

    /// `kubectl apply` of a manifest, which may be denied.
    pub async fn apply(&self, manifest: &Value) -> anyhow::Result<Output> {
        self.kubectl(&["apply", "-f", "-"], Some(&manifest.to_string())).await
    }

    /// `kubectl apply` of a manifest that must be admitted; returns kubectl's output.
    pub async fn accepts(&self, manifest: &Value) -> anyhow::Result<Output> {
        let name = &manifest["metadata"]["name"];
        self.apply(manifest).await?.succeeded().with_context(|| format!("{name} should be admitted"))
    }

    /// `kubectl apply` of a manifest that must be denied; returns the message that kubectl prints.
    ///
    /// A message that contains Rust's debug format fails: it is not meant for people.
    pub async fn rejects(&self, manifest: &Value) -> anyhow::Result<String> {
        let output = self.apply(manifest).await?;
        let name = &manifest["metadata"]["name"];
        ensure!(!output.success, "{name} should be denied, but kubectl printed: {}", output.stdout);
        let message = output.stderr;
        for debug in ["Some(", "Ok(", "Err("] {
            ensure!(!message.contains(debug), "the denial of {name} contains {debug:?}: {message}");
        }
        Ok(message)
    }

    /// Creates a Secret with one key.
    pub async fn secret(&self, name: &str, key: &str, value: &str) -> anyhow::Result<()> {
        let secret = serde_json::from_value(json!({"metadata": {"name": name}, "stringData": {key: value}}))?;
        self.api::<Secret>().create(&PostParams::default(), &secret).await?;
        Ok(())
    }

    /// Overrides the guards of a database by its annotation.
    pub async fn override_guards(&self, database: &str) -> anyhow::Result<()> {
        let annotation = format!("{}=true", names::ANNOTATION_OVERRIDE);
        self.kubectl(&["annotate", "pg", database, &annotation], None).await?.succeeded().map(drop)
    }

    /// The Jobs that were created for a request.
    pub async fn jobs_of(&self, request: &str) -> anyhow::Result<Vec<Job>> {
        let mut jobs = self.api::<Job>().list(&ListParams::default()).await?.items;
        // By annotation: a label cannot hold every name.
        jobs.retain(|job| job.annotations().get(names::LABEL_REQUEST).is_some_and(|name| name == request));
        Ok(jobs)
    }
}
