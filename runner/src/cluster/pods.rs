//! The database's pods, of which one has the server that accepts writes: read and deleted.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, Preconditions};
use pgops_api::members::MemberRole;
use pgops_api::{ForeignObject, Owner, names};
use pgops_kube::member::role;
use pgops_kube::{ApiError, status};

use super::client::Cluster;
use super::error::{ClusterError, ignore_missing};
use super::pod::{self, PodState};
use super::pod_version::PodVersion;
use super::retry::with_retry;

impl Cluster {
    /// The database's pod, or that of the primary if there are standbys, if it exists; an error if another pod has its name.
    pub async fn pod(&self) -> Result<Option<Pod>, ClusterError> {
        if !self.plan.has_standbys() {
            return self.pod_named(names::pod(&self.plan.database, 0)).await;
        }
        for name in self.plan.pods() {
            let pod = self.pod_named(name).await?;
            let is_primary =
                |pod: &Pod| role(pod) == Some(MemberRole::Primary) && !pod::is_being_deleted(pod);
            if let Some(pod) = pod.filter(is_primary) {
                return Ok(Some(pod));
            }
        }
        Ok(None)
    }

    /// A pod of the database, if it exists; an error if another pod has its name. That one may be any program: it is not
    /// deleted, and the password is not sent to it. One that is being deleted already is returned: it may be that of a workload
    /// which was deleted and created again, and no other pod can have its name before it has ended.
    pub async fn pod_named(&self, name: String) -> Result<Option<Pod>, ClusterError> {
        let pod = with_retry(|| self.pods.get_opt(&name)).await;
        let Some(pod) = pod.map_err(ApiError::on::<Pod>("read", name))? else { return Ok(None) };
        if pod::is_being_deleted(&pod) {
            return Ok(Some(pod));
        }
        if self.owned(&pod).await?.is_err() {
            // The workload may have been created again since its uid was read.
            self.workload.forget();
            self.owned(&pod).await??;
        }
        Ok(Some(pod))
    }

    /// Whether the pod belongs to the workload. Nothing belongs to one that does not exist and was never seen.
    async fn owned(&self, pod: &Pod) -> Result<Result<(), ForeignObject>, ClusterError> {
        Ok(match ignore_missing(self.workload.uid().await)? {
            Some(uid) => self.pod_owner(&uid).require(pod),
            None => Err(self.pod_owner("unknown").foreign::<Pod>(pod.name_any())),
        })
    }

    fn pod_owner(&self, uid: &str) -> Owner {
        Owner::new::<StatefulSet>(&self.plan.database, uid)
    }

    /// Deletes exactly this pod, within its grace period.
    pub async fn delete_pod(&self, pod: &Pod) -> Result<(), ClusterError> {
        self.delete_pod_named(&pod.name_any(), pod.uid()).await
    }

    /// Deletes the pod of that name and uid, within its grace period.
    pub async fn delete_pod_named(&self, name: &str, uid: Option<String>) -> Result<(), ClusterError> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid, resource_version: None }),
            ..DeleteParams::default()
        };
        let result = with_retry(|| async {
            match self.pods.delete(name, &parameters).await {
                // Deleted already, or a newer pod of the same name has taken its place.
                Err(error) if status::is_not_found(&error) || status::is_conflict(&error) => Ok(()),
                other => other.map(drop),
            }
        });
        Ok(result.await.map_err(ApiError::on::<Pod>("delete", name))?)
    }

    /// The state of the database's pod, as one of that version, which its data directory tells.
    pub async fn pod_state(&self, version: &PodVersion) -> Result<PodState, ClusterError> {
        Ok(self.pod().await?.map_or(PodState::Missing, |pod| pod::state(&pod, version, None)))
    }

    /// Fails if the database's pod of that version will not come up.
    pub async fn ensure_pod_not_broken(&self, version: &PodVersion) -> Result<(), ClusterError> {
        match self.pod_state(version).await? {
            PodState::Broken { reason } => Err(self.broken(reason)),
            PodState::Missing | PodState::Waiting | PodState::Ready { .. } => Ok(()),
        }
    }

    pub(super) fn broken(&self, reason: String) -> ClusterError {
        ClusterError::PodBroken { pod: names::pod(&self.plan.database, 0), reason }
    }
}
