//! The request's report: the `ConfigMap` `<request>-report`, one key a part.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use pgops_api::names;
use pgops_kube::ApiError;
use serde_json::json;

use super::client::Cluster;
use super::error::ClusterError;
use super::retry::with_retry;

impl Cluster {
    /// One part of the request's report, if it was written.
    pub async fn report(&self, key: &str) -> Result<Option<String>, ClusterError> {
        let name = names::report(&self.plan.request);
        let map = with_retry(|| self.reports.get_opt(&name))
            .await
            .map_err(ApiError::on::<ConfigMap>("read", name.as_str()))?;
        Ok(map.filter(|map| self.owns(map)).and_then(|map| map.data?.remove(key)))
    }

    fn owns(&self, map: &ConfigMap) -> bool {
        map.owner_references().iter().any(|owner| owner.uid == self.plan.request_uid)
    }

    /// Writes one part of the request's report.
    pub async fn write_report(&self, key: &str, text: &str) -> Result<(), ClusterError> {
        let name = names::report(&self.plan.request);
        let map = Patch::Apply(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": {
                    names::LABEL_REQUEST: names::request_label(&self.plan.request, &self.plan.request_uid),
                    names::LABEL_DATABASE: names::label(&self.plan.database),
                },
                // It is deleted with its request.
                "ownerReferences": [{
                    "apiVersion": "ops.kubedb.com/v1alpha1",
                    "kind": "PostgresOpsRequest",
                    "name": self.plan.request,
                    "uid": self.plan.request_uid,
                }],
            },
            "data": { key: text },
        }));
        // A field manager for each part, or applying one would remove the other.
        let parameters = PatchParams::apply(&format!("pgops-runner-{key}")).force();
        with_retry(|| self.reports.patch(&name, &parameters, &map))
            .await
            .map_err(ApiError::on::<ConfigMap>("write", name.as_str()))?;
        Ok(())
    }
}
