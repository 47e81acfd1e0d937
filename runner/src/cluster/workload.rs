//! The workload (the `StatefulSet` of the database) and its volume claim.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use pgops_api::{StorageRisk, names, storage_risk};
use pgops_kube::ApiError;
use serde_json::json;

use super::client::Cluster;
use super::error::ClusterError;
use super::node_affinity;
use super::retry::with_retry;

impl Cluster {
    /// Fails unless the workload, its pod and its `Service` belong to the database, as far as they exist.
    pub async fn ensure_owned(&self) -> Result<(), ClusterError> {
        self.workload.read().await?;
        self.service.read_opt().await?;
        self.pod().await.map(drop)
    }

    /// Why the volume may be lost once the pod is stopped, if so.
    pub async fn storage_risk(&self) -> Result<Option<StorageRisk>, ClusterError> {
        let name = names::claim(&self.plan.database, 0);
        let claim = with_retry(|| self.claims.get_opt(&name)).await;
        let claim = claim.map_err(ApiError::on::<PersistentVolumeClaim>("read", name.as_str()))?;
        Ok(storage_risk(&self.workload.read().await?, &name, claim.as_ref()))
    }

    /// Image of the database's container in the workload.
    pub async fn image(&self) -> Result<String, ClusterError> {
        let image = server_image(self.workload.read().await?);
        image.ok_or_else(|| ClusterError::Missing {
            what: format!("the image of container postgres in StatefulSet {}", self.plan.database),
        })
    }

    /// Sets the number of pods.
    pub async fn scale(&self, replicas: i32) -> Result<(), ClusterError> {
        // In the same write: no change of the policy since the preflight may cost the volume.
        let retain = json!({ "whenScaled": "Retain", "whenDeleted": "Retain" });
        let spec = json!({ "replicas": replicas, "persistentVolumeClaimRetentionPolicy": retain });
        self.workload.patch("scale", json!({ "spec": spec })).await
    }

    /// Requires the database's next pod to run on `node`. A `ReadWriteOnce` volume is attached to the worker's node: a
    /// pod elsewhere would wait for it forever.
    pub async fn require_node(&self, node: &str) -> Result<(), ClusterError> {
        self.set_required_node(Some(node)).await
    }

    /// Lets the database's next pod run on any node again.
    pub async fn clear_required_node(&self) -> Result<(), ClusterError> {
        self.set_required_node(None).await
    }

    async fn set_required_node(&self, node: Option<&str>) -> Result<(), ClusterError> {
        let pod = self.workload.read().await?.spec.and_then(|spec| spec.template.spec);
        let affinity = node_affinity::patch(pod.and_then(|pod| pod.affinity).as_ref(), node);
        let patch = json!({ "spec": { "template": { "spec": { "affinity": affinity } } } });
        self.workload.patch("set the node affinity of", patch).await
    }

    /// Sets image and data directory of the database's container.
    pub async fn set_image(&self, image: &str, pgdata: &str) -> Result<(), ClusterError> {
        let container = json!({
            "name": names::CONTAINER_POSTGRES,
            "image": image,
            "env": [{ "name": "PGDATA", "value": pgdata }],
        });
        let patch = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        self.workload.patch("set the image of", patch).await
    }
}

fn server_image(workload: StatefulSet) -> Option<String> {
    let pod = workload.spec?.template.spec?;
    pod.containers.into_iter().find(|container| container.name == names::CONTAINER_POSTGRES)?.image
}
