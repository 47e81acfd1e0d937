//! The workload (the `StatefulSet` of the database) and its `Service`.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use pgops_api::names;
use pgops_kube::ApiError;
use serde_json::json;

use super::client::Cluster;
use super::error::ClusterError;
use super::node_affinity;
use super::retry::with_retry;

impl Cluster {
    async fn workload(&self) -> Result<StatefulSet, ClusterError> {
        let name = &self.plan.database;
        let workload = with_retry(|| self.workloads.get(name)).await;
        Ok(workload.map_err(ApiError::on::<StatefulSet>("read", name))?)
    }

    /// Image of the database's container in the workload.
    pub async fn image(&self) -> Result<String, ClusterError> {
        let workload = self.workload().await?;
        workload
            .spec
            .and_then(|spec| spec.template.spec)
            .and_then(|pod| {
                pod.containers.into_iter().find(|container| container.name == names::CONTAINER_POSTGRES)
            })
            .and_then(|container| container.image)
            .ok_or_else(|| ClusterError::Missing {
                what: format!("the image of container postgres in StatefulSet {}", self.plan.database),
            })
    }

    /// Sets the number of pods.
    pub async fn scale(&self, replicas: i32) -> Result<(), ClusterError> {
        self.patch_workload("scale", &json!({ "spec": { "replicas": replicas } })).await
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
        let pod = self.workload().await?.spec.and_then(|spec| spec.template.spec);
        let affinity = node_affinity::patch(pod.and_then(|pod| pod.affinity).as_ref(), node);
        let patch = json!({ "spec": { "template": { "spec": { "affinity": affinity } } } });
        self.patch_workload("set the node affinity of", &patch).await
    }

    /// Sets image and data directory of the database's container.
    pub async fn set_image(&self, image: &str, pgdata: &str) -> Result<(), ClusterError> {
        let container = json!({
            "name": names::CONTAINER_POSTGRES,
            "image": image,
            "env": [{ "name": "PGDATA", "value": pgdata }],
        });
        let patch = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        self.patch_workload("set the image of", &patch).await
    }

    async fn patch_workload(
        &self,
        verb: &'static str,
        patch: &serde_json::Value,
    ) -> Result<(), ClusterError> {
        let name = self.plan.database.as_str();
        let parameters = PatchParams::default();
        let patch = Patch::Strategic(patch);
        with_retry(|| self.workloads.patch(name, &parameters, &patch))
            .await
            .map_err(ApiError::on::<StatefulSet>(verb, name))?;
        Ok(())
    }

    /// Publishes not-ready addresses so that clients reach the server before the kubelet reports it ready: they connect
    /// at its first answer, instead of once the readiness has reached every node, which saves half a second of outage.
    /// Otherwise it is off: the Service would lead to pods that are ending, or are lost with their node.
    pub async fn publish_not_ready_addresses(&self, publish: bool) -> Result<(), ClusterError> {
        let name = self.plan.database.as_str();
        let parameters = PatchParams::default();
        let patch = Patch::Merge(json!({ "spec": { "publishNotReadyAddresses": publish } }));
        with_retry(|| self.services.patch(name, &parameters, &patch))
            .await
            .map_err(ApiError::on::<Service>("patch", name))?;
        Ok(())
    }
}
