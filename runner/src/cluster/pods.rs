//! The database's one pod: read, deleted, waited for.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, Preconditions};
use pgops_api::{Owner, names};
use pgops_kube::{ApiError, status};

use super::client::Cluster;
use super::error::ClusterError;
use super::pod::{self, PodState};
use super::retry::with_retry;

/// Interval between two reads of a pod: it adds to the outage.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Cluster {
    /// The database's pod, if it exists; an error if another pod has its name. That one may be any program: it is not
    /// deleted, and the password is not sent to it.
    pub async fn pod(&self) -> Result<Option<Pod>, ClusterError> {
        let name = names::pod(&self.plan.database, 0);
        let pod = with_retry(|| self.pods.get_opt(&name)).await;
        let Some(pod) = pod.map_err(ApiError::on::<Pod>("read", name))? else { return Ok(None) };
        if !self.pod_owner().await?.owns(&pod.metadata) {
            // The workload may have been created again since its uid was read.
            self.workload.forget();
            self.pod_owner().await?.require(&pod)?;
        }
        Ok(Some(pod))
    }

    async fn pod_owner(&self) -> Result<Owner, ClusterError> {
        Ok(Owner::new::<StatefulSet>(&self.plan.database, self.workload.uid().await?))
    }

    /// Deletes exactly this pod, within its grace period.
    pub async fn delete_pod(&self, pod: &Pod) -> Result<(), ClusterError> {
        let name = pod.name_any();
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: pod.uid(), resource_version: None }),
            ..DeleteParams::default()
        };
        let result = with_retry(|| async {
            match self.pods.delete(&name, &parameters).await {
                // Deleted already, or a newer pod of the same name has taken its place.
                Err(error) if status::is_not_found(&error) || status::is_conflict(&error) => Ok(()),
                other => other.map(drop),
            }
        });
        Ok(result.await.map_err(ApiError::on::<Pod>("delete", name.as_str()))?)
    }

    /// The state of the database's pod, as one with that image.
    pub async fn pod_state(&self, image: &str) -> Result<PodState, ClusterError> {
        Ok(self.pod().await?.map_or(PodState::Missing, |pod| pod::state(&pod, image)))
    }

    /// Waits until no pod of the database has a process in it.
    pub async fn wait_pod_ended(&self) -> Result<(), ClusterError> {
        while self.pod().await?.is_some_and(|pod| !pod::has_ended(&pod)) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Fails if the database's pod will not come up with that image.
    pub async fn ensure_pod_not_broken(&self, image: &str) -> Result<(), ClusterError> {
        match self.pod_state(image).await? {
            PodState::Broken { reason } => Err(self.broken(reason)),
            PodState::Missing | PodState::Waiting | PodState::Ready { .. } => Ok(()),
        }
    }

    /// Waits until the database's pod answers with that image; returns its address.
    pub async fn wait_ready(&self, image: &str) -> Result<String, ClusterError> {
        loop {
            match self.pod_state(image).await? {
                PodState::Ready { ip } => return Ok(ip),
                PodState::Broken { reason } => return Err(self.broken(reason)),
                PodState::Missing | PodState::Waiting => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }

    fn broken(&self, reason: String) -> ClusterError {
        ClusterError::PodBroken { pod: names::pod(&self.plan.database, 0), reason }
    }
}
