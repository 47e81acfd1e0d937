//! What an upgrade must not do twice, whatever kills its worker.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_api::names;
use pgops_api::plan::{Step, UpgradeKind};

use super::data_volume::DataVolume;
use super::journal::{Event, Record};
use crate::database::Database;

/// The identities of clusters and pod, which must not change once the upgrade has created them.
pub(super) struct Invariants {
    kind: UpgradeKind,
    old: u32,
    new: u32,
    /// System identifier of the old cluster at the start.
    old_cluster: u64,
    /// System identifier of the new cluster, once `pg_upgrade` has succeeded.
    new_cluster: Option<u64>,
    /// UID of the pod that serves the new version.
    pod: Option<String>,
}

impl Invariants {
    /// The invariants of an upgrade between two major versions.
    pub(super) fn new(old: u32, new: u32, volume: &DataVolume) -> anyhow::Result<Self> {
        Ok(Self {
            kind: if old == new { UpgradeKind::Minor } else { UpgradeKind::Major },
            old,
            new,
            old_cluster: volume.system_identifier(old).context("the old data has no control file")?,
            new_cluster: None,
            pod: None,
        })
    }

    pub(super) fn kind(&self) -> UpgradeKind {
        self.kind
    }

    pub(super) fn new_major(&self) -> u32 {
        self.new
    }

    /// Remembers what must not change any more.
    pub(super) async fn remember(
        &mut self,
        records: &[Record],
        volume: &DataVolume,
        database: &Database,
    ) -> anyhow::Result<()> {
        let has = |step| records.contains(&Record { step, event: Event::Succeeded });
        if self.kind == UpgradeKind::Major && has(Step::PgUpgraded) && self.new_cluster.is_none() {
            self.new_cluster = volume.system_identifier(self.new);
        }
        if has(Step::StartDatabase) && self.pod.is_none() {
            self.pod = Some(serving_pod(database).await?);
        }
        Ok(())
    }

    /// After a successful upgrade: what cannot be undone was done once, and the volume holds one cluster.
    pub(super) async fn ensure_done_once(
        &self,
        records: &[Record],
        volume: &DataVolume,
        database: &Database,
    ) -> anyhow::Result<()> {
        for step in Step::sequence(self.kind) {
            let succeeded = Record { step: *step, event: Event::Succeeded };
            let times = records.iter().filter(|record| **record == succeeded).count();
            ensure!(times == 1, "{step} has succeeded {times} times: {records:?}");
        }
        if let Some(pod) = &self.pod {
            ensure!(
                *pod == serving_pod(database).await?,
                "the pod of the new server was replaced after its start"
            );
        }
        let last = volume.system_identifier(self.new);
        match self.kind {
            UpgradeKind::Major => {
                let same = self.new_cluster.is_none_or(|remembered| last == Some(remembered));
                ensure!(same, "the new cluster was created again after pg_upgrade had succeeded");
                volume.ensure_holds_only(self.new, self.old)
            }
            UpgradeKind::Minor => {
                ensure!(last == Some(self.old_cluster), "a minor upgrade has replaced the cluster");
                Ok(())
            }
        }
    }

    /// After a rollback: the old cluster exists and the new one does not.
    pub(super) fn ensure_rolled_back(&self, volume: &DataVolume) -> anyhow::Result<()> {
        let cluster = volume.system_identifier(self.old);
        ensure!(cluster == Some(self.old_cluster), "the old cluster was replaced");
        volume.ensure_holds_only(self.old, self.new)
    }
}

async fn serving_pod(database: &Database) -> anyhow::Result<String> {
    let pods = database.namespace().api::<Pod>();
    Ok(pods.get(&names::pod(database.name(), 0)).await?.uid().unwrap_or_default())
}
