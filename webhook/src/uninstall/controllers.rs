//! Launcher and provisioner, which must not act while their finalizers are removed.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use pgops_kube::ApiError;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::error::UninstallError;

/// Until a terminated pod has ended: its grace period is 30 s.
const STOP_TIMEOUT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_secs(1);

/// Deployments as they were before they were stopped.
pub struct Controllers {
    deployments: Api<Deployment>,
    pods: Api<Pod>,
    found: Vec<Deployment>,
}

impl Controllers {
    /// Reads the Deployments; those that do not exist any more are stopped already.
    pub async fn find(client: &Client, namespace: &str, names: &[String]) -> Result<Self, ApiError> {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let mut found = Vec::new();
        for name in names {
            let failed = ApiError::on::<Deployment>("read", name.as_str());
            found.extend(deployments.get_opt(name).await.map_err(failed)?);
        }
        Ok(Self { deployments, pods: Api::namespaced(client.clone(), namespace), found })
    }

    /// Stops them, and returns when their last pod has ended.
    pub async fn stop(&self) -> Result<(), UninstallError> {
        for deployment in &self.found {
            self.scale(deployment, 0).await?;
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        for deployment in &self.found {
            while let Some(pod) = self.pod_of(deployment).await? {
                if Instant::now() > deadline {
                    return Err(UninstallError::StillRunning(pod));
                }
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Starts them with as many replicas as they had.
    pub async fn restart(&self) -> Result<(), ApiError> {
        for deployment in &self.found {
            let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            self.scale(deployment, replicas).await?;
        }
        Ok(())
    }

    async fn scale(&self, deployment: &Deployment, replicas: i32) -> Result<(), ApiError> {
        let name = deployment.name_any();
        let scale = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        let scaled = self.deployments.patch_scale(&name, &PatchParams::default(), &scale).await;
        scaled.map_err(ApiError::on::<Deployment>("scale", name.as_str()))?;
        tracing::info!(deployment = name, replicas, "scaled");
        Ok(())
    }

    /// The name of one of its pods, terminating ones too: such a pod may still act.
    async fn pod_of(&self, deployment: &Deployment) -> Result<Option<String>, ApiError> {
        let labels = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
        let selector: Vec<_> =
            labels.into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
        let params = ListParams::default().labels(&selector.join(","));
        let failed = ApiError::on::<Pod>("list", deployment.name_any());
        let pods = self.pods.list_metadata(&params).await.map_err(failed)?;
        Ok(pods.items.first().map(ResourceExt::name_any))
    }
}
