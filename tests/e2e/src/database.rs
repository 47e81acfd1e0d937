//! A database of the cluster: a `Postgres` object and its server.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use pgops_api::postgres::PostgresPhase;
use pgops_api::{Postgres, names};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::connection::{self, Server};
use crate::namespace::Namespace;
use crate::wait::wait_for;

/// Two cores may be pulling images and initialising several databases at once.
const TIMEOUT: Duration = Duration::from_mins(5);

impl Namespace {
    /// A database to be created.
    #[must_use]
    pub fn postgres(&self, name: &str) -> DatabaseBuilder {
        DatabaseBuilder::new(self.clone(), name)
    }
}

/// A database to be created.
#[derive(Clone)]
pub struct DatabaseBuilder {
    ns: Namespace,
    manifest: Value,
    name: String,
}

impl DatabaseBuilder {
    fn new(ns: Namespace, name: &str) -> Self {
        let manifest = json!({
            "apiVersion": "kubedb.com/v1",
            "kind": "Postgres",
            "metadata": {"name": name},
            "spec": {
                "version": "",
                "storageType": "Durable",
                "storage": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                "deletionPolicy": "WipeOut",
            },
        });
        Self { ns, manifest, name: name.to_owned() }
    }

    /// The name of its `PostgresVersion`.
    #[must_use]
    pub fn version(self, name: &str) -> Self {
        self.field("version", json!(name))
    }

    /// Sets any field of the spec.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.manifest["spec"][name] = value;
        self
    }

    /// Arguments of initdb.
    #[must_use]
    pub fn initdb(self, arguments: &str) -> Self {
        self.env("POSTGRES_INITDB_ARGS", arguments)
    }

    /// An environment variable of the server's container.
    #[must_use]
    pub fn env(self, name: &str, value: &str) -> Self {
        let container = json!({"name": "postgres", "env": [{"name": name, "value": value}]});
        self.field("podTemplate", json!({"spec": {"containers": [container]}}))
    }

    /// The manifest to apply.
    #[must_use]
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// Applies the manifest.
    pub async fn create(self) -> anyhow::Result<Database> {
        self.ns.accepts(&self.manifest).await?;
        Ok(Database { ns: self.ns, name: self.name })
    }

    /// Applies the manifest and waits until the database is Ready.
    pub async fn ready(self) -> anyhow::Result<Database> {
        let database = self.create().await?;
        database.wait_ready().await?;
        Ok(database)
    }
}

/// A database of the cluster.
#[derive(Clone)]
pub struct Database {
    ns: Namespace,
    name: String,
}

impl Database {
    /// The existing database `name`.
    #[must_use]
    pub fn new(ns: Namespace, name: &str) -> Self {
        Self { ns, name: name.to_owned() }
    }

    /// The name of the `Postgres` object.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace of the `Postgres` object.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.ns
    }

    /// The current `Postgres` object.
    pub async fn object(&self) -> anyhow::Result<Postgres> {
        let context = || format!("failed to read Postgres {}/{}", self.ns.name(), self.name);
        self.ns.api::<Postgres>().get(&self.name).await.with_context(context)
    }

    /// Waits until it has this phase.
    pub async fn wait_phase(&self, phase: PostgresPhase) -> anyhow::Result<Postgres> {
        let what = format!("phase {phase}");
        let has_phase = |found: Option<&Postgres>| found.is_some_and(|postgres| postgres.phase() == phase);
        let found = wait_for(&self.ns.api(), &self.name, &what, TIMEOUT, has_phase).await?;
        found.context("it was deleted meanwhile")
    }

    /// Waits until it is Ready.
    pub async fn wait_ready(&self) -> anyhow::Result<Postgres> {
        self.wait_phase(PostgresPhase::Ready).await
    }

    /// Deletes its pod, and waits until the next one serves.
    pub async fn replace_pod(&self) -> anyhow::Result<()> {
        let (pods, name) = (self.ns.api::<Pod>(), names::pod(&self.name, 0));
        let old = pods.get(&name).await?.uid();
        pods.delete(&name, &DeleteParams::default()).await?;
        // The phase may still be the one that the database had with the previous pod.
        let serves = |found: Option<&Pod>| found.is_some_and(|pod| pod.uid() != old && is_ready(pod));
        wait_for(&pods, &name, "the next pod", TIMEOUT, serves).await?;
        self.wait_ready().await.map(drop)
    }

    /// Waits until the object no longer exists.
    pub async fn wait_deleted(&self) -> anyhow::Result<()> {
        let api = self.ns.api::<Postgres>();
        wait_for(&api, &self.name, "the deletion", TIMEOUT, |found| found.is_none()).await.map(drop)
    }

    /// Stops it permanently: the server shuts down cleanly, the object is deleted, the data is kept.
    pub async fn halt(&self) -> anyhow::Result<()> {
        let api = self.ns.api::<Postgres>();
        let policy = Patch::Merge(json!({"spec": {"deletionPolicy": "Halt"}}));
        api.patch(&self.name, &PatchParams::default(), &policy).await?;
        api.delete(&self.name, &DeleteParams::default()).await?;
        self.wait_deleted().await
    }

    /// A connection to one of its databases, as the superuser.
    pub(crate) async fn connect(&self, dbname: &str) -> anyhow::Result<Client> {
        connection::connect(&self.ns, &self.name, Server::Primary, dbname).await
    }

    /// Runs statements in one of its databases; returns the rows, each column as text.
    pub async fn sql(&self, dbname: &str, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
        connection::rows(&self.connect(dbname).await?, sql).await
    }

    /// The single value that a query in database `postgres` returns.
    pub async fn value(&self, query: &str) -> anyhow::Result<String> {
        let rows = self.sql("postgres", query).await?.concat();
        ensure!(rows.len() == 1, "{query} returned {} values", rows.len());
        Ok(rows.concat())
    }

    /// The version that the server reports, such as `13.16`.
    pub async fn server_version(&self) -> anyhow::Result<String> {
        let banner = self.value("SHOW server_version").await?;
        Ok(banner.split(' ').next().unwrap_or(&banner).to_owned())
    }
}

fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
