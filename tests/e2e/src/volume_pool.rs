//! The test cluster's fixed pool of volumes. Kubernetes does not empty local volumes: each test returns its own, and a script
//! those of tests that were interrupted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use rustix::fs::FlockOperation;
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::fault_injection::Node;
use crate::wait::wait_for;

/// The storage class of the pool.
const CLASS: &str = "local";
/// How many volumes must be free when a test starts: most need one.
const FREE: usize = 2;
/// How long a test waits for volumes of others.
const TIMEOUT: Duration = Duration::from_mins(5);
/// Pause between two looks at the pool.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Waits until a test can have volumes of the pool; fails with the namespaces that keep them if none becomes free.
pub(crate) async fn wait_until_free(cluster: &Cluster) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut has_recycled = false;
    loop {
        let pool = pool(cluster).await?;
        let free = pool.iter().filter(|volume| phase(volume) == Some("Available")).count();
        // Another cluster has no such pool.
        if pool.is_empty() || free >= FREE {
            return Ok(());
        }
        if !has_recycled {
            recycle_volumes().await?;
            has_recycled = true;
            continue;
        }
        if start.elapsed() > TIMEOUT {
            let users: BTreeSet<&str> = pool.iter().filter_map(claimed_by).collect();
            bail!(
                "the test cluster's pool of {} volumes is exhausted: {free} are free, and {FREE} are needed. The others belong to \
                 the namespaces {}: delete those of earlier runs (kubectl delete namespace NAME), or run fewer tests at once \
                 (--test-threads)",
                pool.len(),
                users.into_iter().collect::<Vec<_>>().join(", ")
            );
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Empties the volumes that claims of the namespace, which is deleted, have used, and makes them available again.
pub(crate) async fn return_volumes(cluster: &Cluster, namespace: &str) -> anyhow::Result<()> {
    let Ok(node) = Node::local() else { return Ok(()) };
    let volumes = Api::<PersistentVolume>::all(cluster.client.clone());
    for volume in pool(cluster).await?.iter().filter(|volume| claimed_by(volume) == Some(namespace)) {
        let name = volume.name_any();
        let is_free = |found: Option<&PersistentVolume>| {
            found.is_none_or(|volume| {
                phase(volume) == Some("Released") || claimed_by(volume) != Some(namespace)
            })
        };
        wait_for(&volumes, &name, "the release", Duration::from_mins(1), is_free).await?;
        let _lock = lock(&node.volumes()).await?;
        // The script may have been faster.
        let Some(volume) = volumes.get_opt(&name).await?.filter(|it| claimed_by(it) == Some(namespace))
        else {
            continue;
        };
        let path = node.volumes().join(&name);
        let emptied = Command::new("rm").args(["-rf", "--one-file-system"]).arg(&path).status().await;
        ensure!(emptied.context("failed to run rm")?.success(), "failed to empty {}", path.display());
        fs::create_dir(&path).with_context(|| format!("failed to create {}", path.display()))?;
        // Without its claimRef a volume becomes Available again.
        let change = json!({
            "metadata": { "resourceVersion": volume.resource_version() }, "spec": { "claimRef": null },
        });
        volumes.patch(&name, &PatchParams::default(), &Patch::Merge(change)).await?;
    }
    Ok(())
}

/// Returns volumes without a claim to the test cluster's pool; does nothing on other clusters.
pub async fn recycle_volumes() -> anyhow::Result<()> {
    const RECYCLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/recycle-volumes");
    let status = Command::new(RECYCLE).status().await.with_context(|| format!("failed to run {RECYCLE}"))?;
    ensure!(status.success(), "{RECYCLE} failed");
    Ok(())
}

async fn pool(cluster: &Cluster) -> anyhow::Result<Vec<PersistentVolume>> {
    let volumes = Api::<PersistentVolume>::all(cluster.client.clone());
    let mut volumes = volumes.list(&ListParams::default()).await.context("failed to list the volumes")?.items;
    let is_of_pool = |volume: &PersistentVolume| {
        volume
            .spec
            .as_ref()
            .is_some_and(|spec| spec.storage_class_name.as_deref() == Some(CLASS) && spec.local.is_some())
    };
    volumes.retain(is_of_pool);
    Ok(volumes)
}

fn phase(volume: &PersistentVolume) -> Option<&str> {
    volume.status.as_ref()?.phase.as_deref()
}

/// The namespace of the claim that has the volume, or had it.
fn claimed_by(volume: &PersistentVolume) -> Option<&str> {
    volume.spec.as_ref()?.claim_ref.as_ref()?.namespace.as_deref()
}

/// The lock of the script.
async fn lock(volumes: &Path) -> anyhow::Result<fs::File> {
    let path = volumes.join(".lock");
    let failed = || format!("failed to lock {}", path.display());
    let file = fs::File::options().append(true).create(true).open(&path).with_context(failed)?;
    while let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(error).with_context(failed);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(file)
}
