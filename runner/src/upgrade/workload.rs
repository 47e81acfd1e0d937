//! The database's pod and server: stopping, fencing, starting.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use pgops_api::plan::{UpgradeKind, VersionRef};
use pgops_api::postgres::StorageType;
use pgops_api::{PgVersion, Postgres, names};
use pgops_kube::broken_pod::is_backing_off;
use pgops_volume::Interlock;
use tokio_postgres::Client;

use super::context::UpgradeContext;
use super::direction::Direction;
use super::error::{PlanMismatch, StepError};
use super::log::warn_step;
use crate::cluster::{
    IfBroken, Observed, Obstacle, PodState, PodVersion, StartPod, ToldBy, ignore_missing, pod,
};
use crate::postgres::client::catalog::version;

/// The longest time to wait for a pod.
pub const MAX_POD_WAIT: Duration = Duration::from_mins(15);
/// Interval between two attempts to take the interlock, and how many there are between two looks at the pod.
const INTERLOCK_INTERVAL: Duration = Duration::from_millis(50);
const INTERLOCK_ATTEMPTS: u32 = 20;
/// How long the next pod may seem to be refused before that counts, and the interval of the looks: the provisioner sees within ten
/// seconds that it has been corrected.
const REFUSED_PATIENCE: Duration = Duration::from_secs(30);
const REFUSED_INTERVAL: Duration = Duration::from_secs(2);
/// How long a wait for the interlock lasts before it is shown.
const SHOWN_AFTER: Duration = Duration::from_secs(5);

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

    /// Fails if the server could not be started again once it is stopped, as the provisioner has found out: it has the rights to ask.
    pub async fn ensure_restartable(&self) -> Result<(), StepError> {
        let began = Instant::now();
        loop {
            let database = self.cluster.database().await?;
            let Some(why) = database.restart_blocked() else {
                self.reporter.waits_no_longer();
                return Ok(());
            };
            if began.elapsed() >= REFUSED_PATIENCE {
                return Err(PlanMismatch::RestartBlocked(why.to_owned()).into());
            }
            self.reporter.waits_for(Obstacle::restart_blocked(why));
            tokio::time::sleep(REFUSED_INTERVAL).await;
        }
    }

    /// Makes sure that no other server can run on the data: no pod, and the interlock is ours.
    pub async fn fence(&mut self) -> Result<(), StepError> {
        let began = Instant::now();
        loop {
            // Again each time: another client may have scaled it up meanwhile.
            self.cluster.stop_pod(|observed| self.show_wait(observed)).await?;
            if self.try_interlock(began).await? {
                return Ok(());
            }
        }
    }

    /// The same once the old server was stopped. The new version's pod may exist: it starts no server before its version
    /// is active.
    pub async fn fence_old_server(&mut self) -> Result<(), StepError> {
        let new = self.pod_version(&self.plan.to)?;
        let is_harmless = |pod: &Pod| pod::has_ended(pod) || new.has_made(pod, None);
        if self.is_switched()? || !self.cluster.pod().await?.as_ref().is_none_or(is_harmless) {
            return self.fence().await;
        }
        let began = Instant::now();
        while !self.try_interlock(began).await? {}
        Ok(())
    }

    /// Tries for a while to take the interlock, for a wait that began then.
    async fn try_interlock(&mut self, began: Instant) -> Result<bool, StepError> {
        for _ in 0..INTERLOCK_ATTEMPTS {
            if self.interlock.is_none() {
                self.interlock = Interlock::try_take(&self.volume)?;
            }
            if self.interlock.is_some() {
                self.reporter.waits_no_longer();
                return Ok(true);
            }
            // A server that an earlier attempt left running holds it too.
            self.stop_leftovers().await?;
            tokio::time::sleep(INTERLOCK_INTERVAL).await;
        }
        if began.elapsed() >= SHOWN_AFTER {
            self.reporter.waits_for(Obstacle::interlock());
        }
        Ok(false)
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
            // A workload that was deleted is set up when its pod is waited for.
            ignore_missing(self.cluster.require_node(node).await)?;
            self.requires_node = true;
        }
        Ok(())
    }

    /// Sets the workload's image and data directory to those of `version`.
    pub async fn set_image(&mut self, version: &VersionRef) -> Result<(), StepError> {
        ignore_missing(self.cluster.set_template(&self.pod_version(version)?).await)?;
        Ok(())
    }

    /// Has the workload create the database's pod, which nothing waits for yet.
    pub async fn create_pod(&self) -> Result<(), StepError> {
        ignore_missing(self.cluster.scale(1).await)?;
        Ok(())
    }

    /// What the pods of `version` are known by.
    pub fn pod_version(&self, version: &VersionRef) -> Result<PodVersion, StepError> {
        let told_by = match self.kind {
            UpgradeKind::Major => ToldBy::DataDirectory,
            UpgradeKind::Minor => ToldBy::Template,
        };
        Ok(PodVersion { told_by, ..serving_pod_version(version)? })
    }

    /// Starts the database's pod with `version`, and waits until its server answers; returns its address.
    pub async fn start_and_wait_ready(&mut self, version: &VersionRef) -> Result<String, StepError> {
        if self.kind == UpgradeKind::Major {
            self.stop_leftovers().await?;
        }
        let pod_version = self.pod_version(version)?;
        let node = self.node().map(ToOwned::to_owned);
        let if_broken = self.direction.if_broken(self.attempts_left);
        let start = StartPod { version: &pod_version, node: node.as_deref(), if_broken };
        let was_set = self.cluster.has_set_template(&pod_version);
        self.cluster.apply_template(&start).await?;
        self.requires_node = node.is_some();
        if !was_set {
            self.replace_pod_that_backs_off().await?;
        }
        self.interlock = None;
        let started = self.cluster.start_pod(&start, |observed| self.observe_start(observed)).await?;
        let Some(ip) = started else { return Err(StepError::Cancelled(self.cancel.wait().await)) };
        self.reporter.waits_no_longer();
        self.serving_since = Some(self.wait_serving().await);
        Ok(ip)
    }

    /// Deletes a pod that an earlier worker has left: it can start by now, and waits for the kubelet's next attempt.
    async fn replace_pod_that_backs_off(&self) -> Result<(), StepError> {
        match ignore_missing(self.cluster.pod().await)?.flatten() {
            Some(pod) if is_backing_off(&pod) => Ok(self.cluster.delete_pod(&pod).await?),
            _ => Ok(()),
        }
    }

    /// Deletes the database's pod unless it is of `version` already; the workload creates it again.
    pub async fn replace_pod(&self, version: &VersionRef) -> Result<(), StepError> {
        let version = self.pod_version(version)?;
        let start = StartPod { version: &version, node: self.node(), if_broken: IfBroken::Fail };
        Ok(self.cluster.replace_pod(&start).await?)
    }

    /// Waits until the database's pod answers, with whatever image of that data directory, and changes nothing; returns its
    /// address.
    pub async fn wait_serving_pod(&self, version: &VersionRef, limit: Duration) -> Result<String, StepError> {
        let pod_version = serving_pod_version(version)?;
        let found = self.cluster.wait_for_answer(&pod_version, limit, |observed| self.show_wait(observed));
        let found = found.await?;
        self.reporter.waits_no_longer();
        found.map_err(|obstacle| StepError::DatabaseNotReady {
            pod: names::pod(&self.plan.database, 0),
            obstacle: obstacle.message,
            namespace: self.plan.namespace.clone(),
        })
    }

    /// The address of the database's pod, if it answers now with whatever image of that data directory.
    pub async fn serving_pod(&self, version: &VersionRef) -> Result<Option<String>, StepError> {
        match self.cluster.pod_state(&serving_pod_version(version)?).await? {
            PodState::Ready { ip } => Ok(Some(ip)),
            PodState::Missing | PodState::Waiting | PodState::Broken { .. } => Ok(None),
        }
    }

    /// Fails if the pod of the new version will not come up.
    pub async fn ensure_new_pod_not_broken(&self) -> Result<(), StepError> {
        Ok(self.cluster.ensure_pod_not_broken(&self.pod_version(&self.plan.to)?).await?)
    }

    fn show_wait(&self, observed: Observed) {
        if let Some(obstacle) = observed.obstacle {
            self.reporter.waits_for(obstacle);
        }
    }

    /// Shows what is waited for; ends the wait if the request is cancelled, while no server may answer and the upgrade can
    /// be rolled back.
    fn observe_start(&self, observed: Observed) -> ControlFlow<()> {
        let may_end = self.direction == Direction::Forward && !observed.runs_server;
        self.show_wait(observed);
        if may_end && self.cancel.pending().is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
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
            ignore_missing(self.cluster.clear_required_node().await)?;
        }
        Ok(self.cluster.resume().await?)
    }

    /// Refuses an undo once the new server answers: clients write to it, and undoing would discard that.
    pub async fn ensure_new_server_unanswered(&self) -> Result<(), StepError> {
        if let PodState::Ready { .. } = self.cluster.pod_state(&self.pod_version(&self.plan.to)?).await? {
            return Err(StepError::UndoUnsafe("answers already"));
        }
        Ok(())
    }
}

/// What every pod with the data directory of `version` is known by: the server is asked for its release.
fn serving_pod_version(version: &VersionRef) -> Result<PodVersion, StepError> {
    let major = version.pg_version()?.major;
    Ok(PodVersion { major, image: version.image.clone(), told_by: ToldBy::DataDirectory })
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
