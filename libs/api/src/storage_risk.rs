//! Whether an upgrade would lose the volume: it stops the database's pod, and after that nothing holds a volume claim
//! that is being deleted.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

/// Why the volume of a database may be lost once its pod is stopped. Each message names the object and the remedy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StorageRisk {
    /// Its pods end, and the claims may be deleted with it.
    #[error("StatefulSet {workload} is being deleted: wait until the provisioner has created it again")]
    WorkloadDeleted {
        /// Name of the StatefulSet.
        workload: String,
    },
    /// Scaling to 0, as an upgrade does, would delete the claims.
    #[error(
        "StatefulSet {workload} has persistentVolumeClaimRetentionPolicy.whenScaled Delete, and an upgrade scales it to \
         0, which would delete the data: set it to Retain; the provisioner does so itself unless the database is paused"
    )]
    DeletedWhenScaled {
        /// Name of the StatefulSet.
        workload: String,
    },
    /// The StatefulSet would create an empty one.
    #[error(
        "PersistentVolumeClaim {claim} does not exist, so a new pod would get an empty volume: restore the claim"
    )]
    ClaimMissing {
        /// Name of the claim.
        claim: String,
    },
    /// Only the running pod keeps the volume.
    #[error(
        "PersistentVolumeClaim {claim} is being deleted, and only the running pod keeps its volume, which is lost when \
         that pod stops. A deletion cannot be undone: back up the data now, set the PersistentVolume's reclaim policy to Retain, \
         then restore the data into a new database"
    )]
    ClaimDeleted {
        /// Name of the claim.
        claim: String,
    },
    /// Its volume no longer exists.
    #[error(
        "PersistentVolumeClaim {claim} has lost its volume (phase Lost): restore the volume, or the data from a backup"
    )]
    ClaimLost {
        /// Name of the claim.
        claim: String,
    },
}

impl StorageRisk {
    /// Whether the provisioner or another controller removes the risk, so that the upgrade can wait.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::WorkloadDeleted { .. } | Self::DeletedWhenScaled { .. } => true,
            Self::ClaimMissing { .. } | Self::ClaimDeleted { .. } | Self::ClaimLost { .. } => false,
        }
    }
}

/// What would happen to the volume of a database whose pod is stopped: its StatefulSet, and its volume claim of that
/// name.
#[must_use]
pub fn storage_risk(
    workload: &StatefulSet,
    claim_name: &str,
    claim: Option<&PersistentVolumeClaim>,
) -> Option<StorageRisk> {
    let name = || workload.metadata.name.clone().unwrap_or_default();
    if workload.metadata.deletion_timestamp.is_some() {
        return Some(StorageRisk::WorkloadDeleted { workload: name() });
    }
    let retention =
        workload.spec.as_ref().and_then(|spec| spec.persistent_volume_claim_retention_policy.as_ref());
    if retention.and_then(|policy| policy.when_scaled.as_deref()) == Some("Delete") {
        return Some(StorageRisk::DeletedWhenScaled { workload: name() });
    }
    let claim_name = claim_name.to_owned();
    let Some(claim) = claim else { return Some(StorageRisk::ClaimMissing { claim: claim_name }) };
    if claim.metadata.deletion_timestamp.is_some() {
        return Some(StorageRisk::ClaimDeleted { claim: claim_name });
    }
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    (phase == Some("Lost")).then_some(StorageRisk::ClaimLost { claim: claim_name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    const NOW: Option<&str> = Some("2026-11-20T10:00:00Z");

    fn workload(deleted: Option<&str>, when_scaled: Option<&str>) -> StatefulSet {
        let workload = json!({
            "metadata": { "name": "orders", "deletionTimestamp": deleted },
            "spec": {
                "selector": {}, "serviceName": "orders-pods", "template": {},
                "persistentVolumeClaimRetentionPolicy": { "whenScaled": when_scaled, "whenDeleted": "Delete" },
            },
        });
        serde_json::from_value(workload).unwrap()
    }

    fn claim(deleted: Option<&str>, phase: &str) -> PersistentVolumeClaim {
        let claim = json!({ "metadata": { "deletionTimestamp": deleted }, "status": { "phase": phase } });
        serde_json::from_value(claim).unwrap()
    }

    #[rstest]
    #[case::unset(None)]
    #[case::retained(Some("Retain"))]
    fn bound_claim_of_a_workload_that_retains_it_is_safe(#[case] when_scaled: Option<&str>) {
        let risk = storage_risk(&workload(None, when_scaled), "data-orders-0", Some(&claim(None, "Bound")));
        assert_eq!(risk, None);
    }

    #[rstest]
    #[case::workload_deleted(workload(NOW, None), Some(claim(None, "Bound")), "StatefulSet orders is", true)]
    #[case::deleted_when_scaled(
        workload(None, Some("Delete")),
        Some(claim(None, "Bound")),
        "whenScaled Delete",
        true
    )]
    #[case::claim_terminating(
        workload(None, None),
        Some(claim(NOW, "Bound")),
        "data-orders-0 is being",
        false
    )]
    #[case::claim_lost(workload(None, None), Some(claim(None, "Lost")), "phase Lost", false)]
    #[case::claim_missing(workload(None, None), None, "data-orders-0 does not exist", false)]
    fn volume_that_would_be_lost_is_named(
        #[case] workload: StatefulSet,
        #[case] claim: Option<PersistentVolumeClaim>,
        #[case] part: &str,
        #[case] is_transient: bool,
    ) {
        let risk = storage_risk(&workload, "data-orders-0", claim.as_ref()).unwrap();
        assert!(risk.to_string().contains(part), "{risk}");
        assert_eq!(risk.is_transient(), is_transient);
    }
}
