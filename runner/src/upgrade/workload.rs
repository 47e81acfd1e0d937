//! The database's pod and server: stopping, fencing, starting.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use pgops_api::plan::{UpgradeKind, VersionRef};
use pgops_api::postgres::StorageType;
use pgops_api::{PgVersion, Postgres, layout};
use pgops_volume::Interlock;
use tokio_postgres::Client;

use super::context::UpgradeContext;
use super::error::{PlanMismatch, StepError};
use super::log::warn_step;
use crate::cluster::{PodState, pod};
use crate::postgres::client::catalog::version;

impl UpgradeContext {
    /// Fails if an object of the database's name belongs to another owner, or if the volume would be lost once the pod
    /// is stopped.
    pub async fn ensure_objects(&self, database: &Postgres) -> Result<(), StepError> {
        self.cluster.ensure_owned().await?;
        if database.storage_type() == StorageType::Durable
            && let Some(risk) = self.cluster.storage_risk().await?
        {
            return Err(PlanMismatch::from(risk).into());
        }
        Ok(())
    }

    /// Makes sure that no other server can run on the data: no pod, and the interlock is ours.
    pub async fn fence(&mut self) -> Result<(), StepError> {
        self.cluster.scale(0).await?;
        self.cluster.wait_pod_ended().await?;
        self.take_interlock().await
    }

    /// The same once the old server was stopped. The new version's pod may exist: it starts no server before its version
    /// is active.
    pub async fn fence_old_server(&mut self) -> Result<(), StepError> {
        let image = &self.plan.to.image;
        let is_harmless = |pod: &Pod| pod::has_ended(pod) || pod::has_image(pod, image);
        if self.is_switched()? || !self.cluster.pod().await?.as_ref().is_none_or(is_harmless) {
            return self.fence().await;
        }
        self.take_interlock().await
    }

    async fn take_interlock(&mut self) -> Result<(), StepError> {
        if self.interlock.is_some() {
            return Ok(());
        }
        self.interlock = loop {
            let taken = Interlock::try_take(&self.volume)?;
            if taken.is_some() {
                break taken;
            }
            // A server that an earlier attempt left running holds it too.
            self.stop_leftovers().await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        Ok(())
    }

    /// The interlock, which must be held to run a program on the data.
    pub fn interlock(&self) -> Result<&Interlock, StepError> {
        self.interlock.as_ref().ok_or(StepError::NotFenced)
    }

    /// Stops servers that a killed or interrupted pgops program has left running on the data.
    pub async fn stop_leftovers(&self) -> Result<(), StepError> {
        for major in [self.old_major, self.new_major] {
            self.agents.programs.stop_server(self.volume.data_dir(major)).await?;
        }
        Ok(())
    }

    /// Requires this worker's node for the database's next pod, even if an earlier worker was on another one.
    pub async fn require_node(&mut self) -> Result<(), StepError> {
        if let Some(node) = self.node().filter(|_| !self.requires_node) {
            self.cluster.require_node(node).await?;
            self.requires_node = true;
        }
        Ok(())
    }

    /// Sets the workload's image and data directory to those of `version`.
    pub async fn set_image(&mut self, version: &VersionRef) -> Result<(), StepError> {
        self.cluster.set_image(&version.image, &layout::pgdata(version.pg_version()?.major)).await?;
        self.image = Some(version.image.clone());
        Ok(())
    }

    /// Repairs what an earlier worker left: the catalog may by now name another image, and a pod that can start by now
    /// may be waiting for the kubelet's next attempt, which is further off than the runner's last one.
    async fn take_over(&mut self, version: &VersionRef) -> Result<(), StepError> {
        self.set_image(version).await?;
        if let Some(pod) = self.cluster.pod().await?.filter(pod::is_backing_off) {
            self.cluster.delete_pod(&pod).await?;
        }
        Ok(())
    }

    /// Starts the database's pod with `version`, and waits until its server answers; returns its address.
    pub async fn start_and_wait_ready(&mut self, version: &VersionRef) -> Result<String, StepError> {
        let image = version.image.as_str();
        if self.kind == UpgradeKind::Major {
            self.stop_leftovers().await?;
            self.require_node().await?;
        }
        if self.image.as_deref() != Some(image) {
            Box::pin(self.take_over(version)).await?;
        }
        self.interlock = None;
        self.cluster.scale(1).await?;
        // A pod that another client started with the other image waits forever, and nothing replaces it.
        self.replace_pod(image).await?;
        let ip = self.cluster.wait_ready(image).await?;
        self.serving_since = Some(self.wait_serving().await);
        Ok(ip)
    }

    /// Deletes the database's pod unless it has `image` already and can come up; the workload creates it again.
    pub async fn replace_pod(&self, image: &str) -> Result<(), StepError> {
        let Some(pod) = self.cluster.pod().await? else { return Ok(()) };
        let waits_elsewhere = || self.node().is_some_and(|node| pod::waits_for_another_node(&pod, node));
        if !pod::has_image(&pod, image) || waits_elsewhere() {
            self.cluster.delete_pod(&pod).await?;
        }
        Ok(())
    }

    /// Has the Service publish the database's pod before it is ready, or not. A failure only makes the outage longer, so
    /// it is a warning.
    pub async fn publish_not_ready_addresses(&self, publish: bool) {
        if let Err(error) = self.cluster.publish_not_ready_addresses(publish).await {
            warn_step(pgops_api::plan::Step::UpdateStatefulSetImage, &error);
        }
    }

    /// Returns the database to the provisioner, with everything that the upgrade set on its objects cleared.
    pub async fn resume(&self) -> Result<(), StepError> {
        if self.kind == UpgradeKind::Major {
            self.publish_not_ready_addresses(false).await;
            self.cluster.clear_required_node().await?;
        }
        Ok(self.cluster.resume().await?)
    }

    /// Refuses an undo once the new server answers: clients write to it, and undoing would discard that.
    pub async fn ensure_new_server_unanswered(&self) -> Result<(), StepError> {
        if let PodState::Ready { .. } = self.cluster.pod_state(&self.plan.to.image).await? {
            return Err(StepError::UndoUnsafe("answers already"));
        }
        Ok(())
    }
}

/// Fails unless the server reports the version that the catalog declares; returns it.
pub async fn ensure_version(client: &Client, declared: &VersionRef) -> Result<PgVersion, StepError> {
    let expected = declared.pg_version()?;
    let reported = version(client).await?;
    if reported != expected {
        return Err(StepError::WrongVersion { name: declared.name.clone(), expected, reported });
    }
    Ok(reported)
}
