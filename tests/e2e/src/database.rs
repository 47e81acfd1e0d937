//! A database of the cluster: a `Postgres` object and the server behind it.

use std::time::Duration;

use anyhow::{Context, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use pgops_api::Postgres;
use pgops_api::postgres::PostgresPhase;
use serde_json::{Value, json};

use crate::{DataSet, Fingerprint, Namespace, connection, wait_for};

/// Two cores may pull images and initialise several databases at once.
const LONGEST: Duration = Duration::from_mins(5);

/// A database to be created.
#[derive(Clone)]
pub struct DatabaseBuilder {
    ns: Namespace,
    manifest: Value,
    name: String,
}

impl DatabaseBuilder {
    pub(crate) fn new(ns: Namespace, name: &str) -> Self {
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

    /// Any field of the spec.
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

    /// A variable in the environment of the server's container.
    #[must_use]
    pub fn env(self, name: &str, value: &str) -> Self {
        let container = json!({"name": "postgres", "env": [{"name": name, "value": value}]});
        self.field("podTemplate", json!({"spec": {"containers": [container]}}))
    }

    /// What would be applied.
    #[must_use]
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// Applies it.
    pub async fn create(self) -> anyhow::Result<Database> {
        self.ns.accepts(&self.manifest).await?;
        Ok(Database { ns: self.ns, name: self.name })
    }

    /// Applies it and waits until it is Ready.
    pub async fn ready(self) -> anyhow::Result<Database> {
        let database = self.create().await?;
        database.wait_ready().await?;
        Ok(database)
    }

    /// Applies it, waits until it is Ready and fills it.
    pub async fn filled_with(self, sets: &[DataSet]) -> anyhow::Result<Database> {
        let database = self.ready().await?;
        for set in sets {
            database.load(*set).await?;
        }
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
    /// The database `name`, which exists.
    #[must_use]
    pub fn new(ns: Namespace, name: &str) -> Self {
        Self { ns, name: name.to_owned() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.ns
    }

    /// Its `Postgres` as it is now.
    pub async fn object(&self) -> anyhow::Result<Postgres> {
        let place = || format!("failed to read Postgres {}/{}", self.ns.name(), self.name);
        self.ns.api::<Postgres>().get(&self.name).await.with_context(place)
    }

    /// Waits until its phase is what it should be.
    pub async fn wait_phase(&self, phase: PostgresPhase) -> anyhow::Result<Postgres> {
        let what = format!("phase {phase}");
        let is_so = |found: Option<&Postgres>| found.is_some_and(|postgres| postgres.phase() == phase);
        let found = wait_for(&self.ns.api(), &self.name, &what, LONGEST, is_so).await?;
        found.context("it was there a moment ago")
    }

    /// Waits until it is Ready.
    pub async fn wait_ready(&self) -> anyhow::Result<Postgres> {
        self.wait_phase(PostgresPhase::Ready).await
    }

    /// Waits until the object is gone.
    pub async fn wait_gone(&self) -> anyhow::Result<()> {
        let api = self.ns.api::<Postgres>();
        wait_for(&api, &self.name, "the end", LONGEST, |found| found.is_none()).await.map(drop)
    }

    /// Stops it for good: the server shuts down cleanly, the object goes, the data stays.
    pub async fn halt(&self) -> anyhow::Result<()> {
        let api = self.ns.api::<Postgres>();
        let policy = Patch::Merge(json!({"spec": {"deletionPolicy": "Halt"}}));
        api.patch(&self.name, &PatchParams::default(), &policy).await?;
        api.delete(&self.name, &DeleteParams::default()).await?;
        self.wait_gone().await
    }

    /// Fills it.
    pub async fn load(&self, set: DataSet) -> anyhow::Result<()> {
        set.load(self).await
    }

    /// Runs statements in one of its databases; the rows, each column as text.
    pub async fn sql(&self, dbname: &str, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
        connection::rows(&connection::connect(self, dbname).await?, sql).await
    }

    /// The one value that a query in database `postgres` gives.
    pub async fn value(&self, query: &str) -> anyhow::Result<String> {
        let rows = self.sql("postgres", query).await?.concat();
        ensure!(rows.len() == 1, "{query} gave {} values", rows.len());
        Ok(rows.concat())
    }

    /// What the server says that it is, such as `13.16`.
    pub async fn server_version(&self) -> anyhow::Result<String> {
        let banner = self.value("SHOW server_version").await?;
        Ok(banner.split(' ').next().unwrap_or(&banner).to_owned())
    }

    /// What it holds.
    pub async fn fingerprint(&self) -> anyhow::Result<Fingerprint> {
        Fingerprint::take(self).await
    }
}
