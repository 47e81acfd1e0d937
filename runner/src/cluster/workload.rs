//! The workload (the `StatefulSet` of the database) and its volume claim.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PodSpec};
use pgops_api::{StorageRisk, layout, names, storage_risk};
use pgops_kube::ApiError;
use pgops_kube::node_affinity;
use pgops_kube::stored_image::image_of;
use serde_json::json;

use super::client::Cluster;
use super::error::{ClusterError, ignore_missing};
use super::known::SetTemplate;
use super::pod_version::PodVersion;
use super::retry::with_retry;

impl Cluster {
    /// Fails unless the workload, its pod and its `Service` belong to the database, as far as they exist.
    pub async fn ensure_owned(&self) -> Result<(), ClusterError> {
        self.workload.read().await?;
        self.service.read_opt().await?;
        self.pod().await.map(drop)
    }

    /// Why the volume of a pod may be lost once it is stopped, if so.
    pub async fn storage_risk(&self) -> Result<Option<StorageRisk>, ClusterError> {
        for name in self.plan.claims() {
            let claim = with_retry(|| self.claims.get_opt(&name)).await;
            let claim = claim.map_err(ApiError::on::<PersistentVolumeClaim>("read", name.as_str()))?;
            let risk = storage_risk(&self.workload.read().await?, &name, claim.as_ref());
            if risk.is_some() {
                return Ok(risk);
            }
        }
        Ok(None)
    }

    /// Image of the database's container in the workload.
    pub async fn image(&self) -> Result<String, ClusterError> {
        let image = server_image(&self.workload.read().await?).map(ToOwned::to_owned);
        image.ok_or_else(|| ClusterError::Missing {
            what: format!("the image of container postgres in StatefulSet {}", self.plan.database),
        })
    }

    /// Sets the number of pods; returns the workload.
    pub async fn scale(&self, replicas: i32) -> Result<StatefulSet, ClusterError> {
        // In the same write: no change of the policy since the preflight may cost the volume.
        let retain = json!({ "whenScaled": "Retain", "whenDeleted": "Retain" });
        let spec = json!({ "replicas": replicas, "persistentVolumeClaimRetentionPolicy": retain });
        self.workload.patch("scale", json!({ "spec": spec })).await
    }

    /// Sets the number of pods to 0. A workload that does not exist brings up none.
    pub(super) async fn scale_down(&self) -> Result<(), ClusterError> {
        ignore_missing(self.scale(0).await).map(drop)
    }

    /// Requires the database's next pod to run on `node`; returns the workload. A `ReadWriteOnce` volume is attached to the
    /// worker's node: a pod elsewhere would wait for it forever.
    pub async fn require_node(&self, node: &str) -> Result<StatefulSet, ClusterError> {
        self.set_required_node(Some(node)).await
    }

    /// Lets the database's next pod run on any node again.
    pub async fn clear_required_node(&self) -> Result<(), ClusterError> {
        self.set_required_node(None).await.map(drop)
    }

    async fn set_required_node(&self, node: Option<&str>) -> Result<StatefulSet, ClusterError> {
        let pod = self.workload.read().await?.spec.and_then(|spec| spec.template.spec);
        let affinity = node_affinity::patch(pod.and_then(|pod| pod.affinity).as_ref(), node);
        let patch = json!({ "spec": { "template": { "spec": { "affinity": affinity } } } });
        self.workload.patch("set the node affinity of", patch).await
    }

    /// Sets image and data directory of the database's container; returns the workload.
    pub async fn set_template(&self, version: &PodVersion) -> Result<StatefulSet, ClusterError> {
        let container = json!({
            "name": names::CONTAINER_POSTGRES,
            "image": version.image,
            "env": [{ "name": "PGDATA", "value": layout::pgdata(version.major) }],
        });
        let patch = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        let workload = self.workload.patch("set the image of", patch).await?;
        self.note_template(&workload, version);
        Ok(workload)
    }

    /// Records that the workload has the template of the version.
    pub(super) fn note_template(&self, workload: &StatefulSet, version: &PodVersion) {
        let stored_image = server_image(workload).map(ToOwned::to_owned);
        self.known_template.set(SetTemplate { image: version.image.clone(), stored_image });
    }

    /// Whether this runner has set the template of the version, or found it set.
    #[must_use]
    pub fn has_set_template(&self, version: &PodVersion) -> bool {
        self.known_template.get().is_some_and(|template| template.image == version.image)
    }

    /// Whether the workload has the template of the version, as the API server has stored it.
    pub(super) fn has_template_of(&self, workload: &StatefulSet, version: &PodVersion) -> bool {
        let template = self.known_template.get().filter(|template| template.image == version.image);
        let expected = template.and_then(|template| template.stored_image);
        let expected = expected.as_deref().unwrap_or(&version.image);
        let major = pod_of(workload).and_then(layout::pgdata_major);
        server_image(workload) == Some(expected) && major == Some(version.major)
    }
}

/// Whether the workload's next pod must run on that node.
pub(super) fn requires_node(workload: &StatefulSet, node: &str) -> bool {
    pod_of(workload).and_then(node_affinity::required_node) == Some(node)
}

fn pod_of(workload: &StatefulSet) -> Option<&PodSpec> {
    workload.spec.as_ref()?.template.spec.as_ref()
}

fn server_image(workload: &StatefulSet) -> Option<&str> {
    image_of(workload, names::CONTAINER_POSTGRES)
}
