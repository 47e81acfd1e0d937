//! The members of a database with standbys, as the API server has them: their pods and the records of Patroni.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use pgops_api::rollout::{Commit, Lock, Observed, Patroni, SwitchoverRecord, Template, synchronous_standbys};
use pgops_api::topology::StreamingMode;
use pgops_api::{Owner, Postgres, names};
use pgops_kube::ApiError;
use pgops_kube::member::{member, reported};
use pgops_kube::patch::conditioned;
use serde_json::json;

use super::client::Cluster;
use super::error::ClusterError;
use super::obstacle::Obstacle;
use super::owned::Owned;
use super::pod;
use super::pod_version::{PodVersion, template_revision};
use super::retry::with_retry;
use super::wait::{IfBroken, StartPod, replicas};

/// Which switchover Patroni is asked for, and who has the lock.
#[derive(Debug)]
pub struct SwitchoverRecords {
    pub found: Option<SwitchoverRecord>,
    pub lock: Lock,
}

impl Cluster {
    /// Reads the members, whose pods are compared with the template of that version.
    pub async fn members(
        &self,
        version: &PodVersion,
        streaming: StreamingMode,
    ) -> Result<Observed, ClusterError> {
        let workload = self.workload.read_opt().await?;
        let revision = workload.as_ref().and_then(template_revision);
        let (mut members, mut patroni) = (Vec::new(), Patroni::Active);
        for name in self.plan.pods() {
            let found = self.pod_named(name.clone()).await?;
            if found.as_ref().is_some_and(|pod| reported(pod).is_paused) {
                patroni = Patroni::Paused;
            }
            let template =
                found.as_ref().map_or(Template::Unknown, |pod| template_of(pod, version, revision));
            members.push(member(&name, found.as_ref(), template));
        }
        let records = self.switchover_records().await?;
        let sync = self.record(names::ha_sync).await?;
        Ok(Observed {
            members,
            lock: records.lock,
            commit: Commit::new(synchronous_standbys(sync.metadata.annotations.as_ref()), streaming),
            switchover: records.found,
            patroni,
        })
    }

    /// Reads which switchover Patroni is asked for, and then who has the lock.
    pub async fn switchover_records(&self) -> Result<SwitchoverRecords, ClusterError> {
        let failover = self.record(names::ha_failover).await?;
        // In this order: one that gets the lock removes the record afterwards.
        let leader = self.record(names::ha_leader).await?;
        Ok(SwitchoverRecords {
            found: SwitchoverRecord::parse(failover.metadata.annotations.as_ref()),
            lock: Lock::parse(leader.metadata.annotations.as_ref()),
        })
    }

    /// Asks Patroni for a switchover, unless it is asked for one already: that one is returned, and not overwritten.
    pub async fn ask_switchover(
        &self,
        asked: &SwitchoverRecord,
    ) -> Result<Option<SwitchoverRecord>, ClusterError> {
        let (name, record) = (self.record_name(names::ha_failover)?, self.record(names::ha_failover).await?);
        let change = json!({ "metadata": { "uid": record.uid(), "annotations": asked.annotations() } });
        // A conflict means that Patroni or another client has written first: it is read again.
        let found = with_retry(|| async {
            let record = self.config_maps.get(&name).await?;
            let found = SwitchoverRecord::parse(record.metadata.annotations.as_ref());
            if found.is_none() {
                let patch = Patch::Merge(conditioned(&record, change.clone()));
                self.config_maps.patch(&name, &PatchParams::default(), &patch).await?;
            }
            Ok(found)
        });
        Ok(found.await.map_err(ApiError::on::<ConfigMap>("request a switchover in", name.as_str()))?)
    }

    /// Removes a request for a switchover that Patroni has not acted on.
    pub async fn withdraw_switchover(&self, asked: &SwitchoverRecord) -> Result<(), ClusterError> {
        let name = self.record_name(names::ha_failover)?;
        let change = json!({ "metadata": { "annotations": SwitchoverRecord::default().annotations() } });
        let withdrawn = with_retry(|| async {
            let record = self.config_maps.get(&name).await?;
            if SwitchoverRecord::parse(record.metadata.annotations.as_ref()).as_ref() == Some(asked) {
                let patch = Patch::Merge(conditioned(&record, change.clone()));
                self.config_maps.patch(&name, &PatchParams::default(), &patch).await?;
            }
            Ok(())
        });
        Ok(withdrawn.await.map_err(ApiError::on::<ConfigMap>("withdraw a switchover in", name.as_str()))?)
    }

    /// Sets what the pods are made from, and how many there are, as far as another client has changed it.
    pub async fn apply_rollout(&self, version: &PodVersion) -> Result<(), ClusterError> {
        let Some(workload) = self.workload.read_opt().await? else { return Ok(()) };
        let start = StartPod { version, node: None, if_broken: IfBroken::Fail };
        let workload = self.apply_to_template(workload, &start).await?;
        let servers = i32::try_from(self.plan.servers).unwrap_or(i32::MAX);
        if replicas(&workload) != servers {
            self.scale(servers).await?;
        }
        Ok(())
    }

    /// Since when clients can write: the pod has been ready, and its server the primary.
    pub async fn ready_to_write_since(&self) -> Result<Option<Timestamp>, ClusterError> {
        let ready = self.pod().await?.as_ref().and_then(pod::ready_since);
        if !self.plan.has_standbys() {
            return Ok(ready);
        }
        let acquired = self.switchover_records().await?.lock.acquired;
        Ok(ready.map(|ready| acquired.map_or(ready, |acquired| acquired.max(ready))))
    }

    /// What keeps the pod of that name from coming up, or from ending.
    pub async fn member_obstacle(&self, name: &str) -> Result<Obstacle, ClusterError> {
        let pod = self.pod_named(name.to_owned()).await?;
        let workload: Option<StatefulSet> = self.workload.read_opt().await?;
        Ok(self.obstacle_of(name, workload.as_ref(), pod.as_ref()).await)
    }

    /// The address of the pod of that name, if it is ready.
    pub async fn member_address(&self, name: String) -> Result<Option<String>, ClusterError> {
        let pod = self.pod_named(name).await?.filter(|pod| !pod::is_being_deleted(pod));
        Ok(pod.as_ref().and_then(pod::ready_ip).map(ToOwned::to_owned))
    }

    /// One of the `ConfigMap`s in which Patroni keeps its state.
    async fn record(&self, part: fn(&str) -> String) -> Result<ConfigMap, ClusterError> {
        let owner = Owner::new::<Postgres>(&self.plan.database, &self.plan.database_uid);
        Owned::new(self.config_maps.clone(), &self.record_name(part)?, owner).read().await
    }

    /// Its name: a minor upgrade stays in the scope of its major version.
    fn record_name(&self, part: fn(&str) -> String) -> Result<String, ClusterError> {
        let version = self.plan.from.pg_version();
        let missing = |_| ClusterError::Missing { what: "the major version of the database".to_owned() };
        Ok(part(&names::ha_scope(&self.plan.database, version.map_err(missing)?.major)))
    }
}

fn template_of(pod: &Pod, version: &PodVersion, revision: Option<&str>) -> Template {
    if version.has_made(pod, revision) {
        Template::Current
    } else if revision.is_none() && version.needs_revision(pod) {
        Template::Unknown
    } else {
        Template::Earlier
    }
}

#[cfg(test)]
mod tests;
