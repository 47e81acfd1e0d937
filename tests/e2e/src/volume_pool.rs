//! The test cluster's fixed pool of volumes.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::api::{Api, ListParams};
use tokio::process::Command;

use crate::cluster::Cluster;

/// Enough released volumes to justify a run of the script; the pool has 64.
const RECYCLE_THRESHOLD: usize = 16;

/// Recycles released volumes before the pool runs out.
pub(crate) async fn recycle_if_many_released(cluster: &Cluster) -> anyhow::Result<()> {
    let volumes = Api::<PersistentVolume>::all(cluster.client.clone());
    let volumes = volumes.list(&ListParams::default()).await?;
    let released = volumes.iter().filter(|volume| is_released(volume)).count();
    if released >= RECYCLE_THRESHOLD { recycle_volumes().await } else { Ok(()) }
}

fn is_released(volume: &PersistentVolume) -> bool {
    volume.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Released"))
}

/// Returns volumes without a claim to the test cluster's pool; does nothing on other clusters.
pub async fn recycle_volumes() -> anyhow::Result<()> {
    const RECYCLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/recycle-volumes");
    let status = Command::new(RECYCLE).status().await.with_context(|| format!("failed to run {RECYCLE}"))?;
    ensure!(status.success(), "{RECYCLE} failed");
    Ok(())
}
