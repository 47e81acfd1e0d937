//! A worker that exists and does nothing, and whose rights a test uses.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::{Patch, PostParams};
use pgops_api::opsrequest::Phase;
use pgops_api::{Postgres, PostgresOpsRequest, names};
use pgops_e2e::identity::{Identity, Part};
use pgops_e2e::{Database, Namespace, UpgradeRequest, wait_for};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(2);

/// A worker that exists and does nothing.
pub struct IdleWorker {
    pub database: Database,
    pub request: UpgradeRequest,
    pub uid: String,
    pub identity: Identity,
}

impl IdleWorker {
    /// The worker of an upgrade, or of a dry run, to the version `target`, whose image does not exist.
    pub async fn start(ns: &Namespace, target: &str, dry_run: bool) -> anyhow::Result<Self> {
        let database = ns.postgres("orders").version("13.16").ready().await?;
        let mut request = ns.upgrade("orders-17").database("orders").to(target);
        if dry_run {
            request = request.annotation(names::ANNOTATION_DRY_RUN, "true");
        }
        let request = request.create().await?;
        let progresses = |found: Option<&PostgresOpsRequest>| {
            found.is_some_and(|request| request.phase() == Phase::Progressing)
        };
        let found = wait_for(&ns.api(), request.name(), "phase Progressing", TIMEOUT, progresses).await?;
        let uid = found.and_then(|request| request.uid()).context("the request was deleted")?;
        let identity = Identity::of(ns, &names::worker(request.name(), &uid)).await?;
        Ok(Self { database, request, uid, identity })
    }

    pub fn ns(&self) -> &Namespace {
        self.database.namespace()
    }

    pub async fn workload(&self, patch: Value) -> kube::Result<()> {
        self.identity.patch::<StatefulSet>("orders", Part::Main, &Patch::Strategic(patch)).await
    }

    /// A patch of the StatefulSet's pods.
    pub async fn pods(&self, spec: Value) -> kube::Result<()> {
        self.workload(json!({ "spec": { "template": { "spec": spec } } })).await
    }

    /// A patch of the container of the server.
    pub async fn server(&self, mut container: Value) -> kube::Result<()> {
        container["name"] = json!("postgres");
        self.pods(json!({ "containers": [container] })).await
    }

    pub async fn postgres(&self, part: Part, patch: Value) -> kube::Result<()> {
        self.identity.patch::<Postgres>("orders", part, &Patch::Merge(patch)).await
    }

    pub async fn service(&self, patch: Value) -> kube::Result<()> {
        self.identity.patch::<Service>("orders", Part::Main, &Patch::Merge(patch)).await
    }

    /// A change of its request's status.
    pub async fn status(&self, status: Value) -> kube::Result<()> {
        repeat_on_conflict(async || self.replace_status(status.clone()).await).await
    }

    async fn replace_status(&self, status: Value) -> kube::Result<()> {
        let mut request: PostgresOpsRequest = self.identity.api().get(self.request.name()).await?;
        let mut value = serde_json::to_value(&request).map_err(kube::Error::SerdeError)?;
        json_merge(&mut value["status"], status);
        request = serde_json::from_value(value).map_err(kube::Error::SerdeError)?;
        let params = PostParams { dry_run: true, ..PostParams::default() };
        self.identity
            .api::<PostgresOpsRequest>()
            .replace_status(self.request.name(), &params, &request)
            .await
            .map(drop)
    }

    /// A change of the database's status that adds a condition.
    pub async fn add_condition(&self, condition: Value) -> kube::Result<()> {
        repeat_on_conflict(async || {
            let object = self.ns().api::<Postgres>().get("orders").await?;
            let version = object.resource_version();
            let conditions = object.status.map(|status| status.conditions).unwrap_or_default();
            let mut conditions = serde_json::to_value(conditions).map_err(kube::Error::SerdeError)?;
            if let Some(conditions) = conditions.as_array_mut() {
                conditions.push(condition.clone());
            }
            // Without the version, this would also change back what the provisioner has written meanwhile.
            let patch =
                json!({ "metadata": { "resourceVersion": version }, "status": { "conditions": conditions } });
            self.postgres(Part::Status, patch).await
        })
        .await
    }

    /// The ConfigMap of the report, or another one.
    pub fn config_map(&self, name: &str, owner: &str) -> Value {
        json!({
            "metadata": { "name": name, "ownerReferences": [{
                "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
                "name": self.request.name(), "uid": owner,
            }]},
            "data": { "report": "text" },
        })
    }

    pub fn event(&self, uid: &str) -> Value {
        json!({
            "metadata": { "name": "orders-17.test", "namespace": self.ns().name() },
            "regarding": {
                "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest", "uid": uid,
                "name": self.request.name(), "namespace": self.ns().name(),
            },
            "action": "Upgrade", "reason": "Test", "type": "Normal", "note": "text",
            "eventTime": "2026-11-20T10:00:00.000000Z",
            "reportingController": "pgops-runner", "reportingInstance": "test",
        })
    }
}

/// Replaces the keys of a map.
fn json_merge(value: &mut Value, changes: Value) {
    if let (Some(fields), Value::Object(changes)) = (value.as_object_mut(), changes) {
        fields.extend(changes);
    }
}

/// A pause for the request of that uid.
pub fn paused(uid: &str) -> Value {
    json!({
        "type": "Paused", "status": "True", "reason": "UpgradeInProgress",
        "message": format!("paused by PostgresOpsRequest orders-17 (uid {uid}) for the upgrade a to b"),
        "lastTransitionTime": "2026-11-20T10:00:00Z",
    })
}

/// Repeats a write of what was read, as long as a controller has written meanwhile.
async fn repeat_on_conflict(write: impl AsyncFn() -> kube::Result<()>) -> kube::Result<()> {
    loop {
        match write().await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            written => return written,
        }
    }
}
