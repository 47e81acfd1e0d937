//! The machine that the test cluster's nodes run on.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Api;
use pgops_api::names;

use super::process::Process;
use crate::database::Database;

/// The machine that the test cluster's nodes run on, this one.
#[derive(Clone, Debug)]
pub struct Node {
    state: PathBuf,
}

impl Node {
    /// This machine; fails if `KUBECONFIG` names another cluster.
    pub fn local() -> anyhow::Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("PGOPS_CACHE")
            .or_else(|| Some(set("XDG_CACHE_HOME")?.join("pgops")))
            .or_else(|| Some(set("HOME")?.join(".cache/pgops")))
            .context(
                "failed to find the test cluster: none of PGOPS_CACHE, XDG_CACHE_HOME and HOME is set",
            )?;
        let state = cache.join("cluster");
        let own = state.join("pki/admin.kubeconfig");
        let used = set("KUBECONFIG").unwrap_or_default();
        ensure!(
            used == own,
            "this test kills processes of the cluster's node and reads its volumes: it runs only on the project's own \
             test cluster (tests/cluster/exec without KUBECONFIG), not on the cluster of KUBECONFIG={}",
            used.display()
        );
        Ok(Self { state })
    }

    /// The path of a database's volume.
    pub async fn volume(&self, database: &Database) -> anyhow::Result<PathBuf> {
        let ns = database.namespace();
        let claim = ns.api::<PersistentVolumeClaim>().get(&names::claim(database.name(), 0)).await?;
        let name = claim.spec.and_then(|spec| spec.volume_name).context("the claim has no volume")?;
        let volume = Api::<PersistentVolume>::all(ns.cluster().client.clone()).get(&name).await?;
        let spec = volume.spec.context("the volume has no spec")?;
        match (spec.local, spec.csi) {
            (Some(local), _) => Ok(local.path.into()),
            // Of the class `attached`.
            (None, Some(csi)) => Ok(self.state.join("volumes").join(csi.volume_handle)),
            (None, None) => bail!("volume {name} is not a directory of this machine"),
        }
    }

    /// The output of a Job's runner containers, in the container runtime's format; the order of pods is undefined.
    pub fn runner_log(&self, namespace: &str, job: &str) -> anyhow::Result<String> {
        let mut logs = Vec::new();
        // There may be no second node.
        let second = entries(&self.state.join("node-2/run/pod-logs")).unwrap_or_default();
        for pod in entries(&self.state.join("run/pod-logs"))?.into_iter().chain(second) {
            let name = pod.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(&format!("{namespace}_{job}-")) && pod.join("runner").exists() {
                logs.extend(entries(&pod.join("runner"))?);
            }
        }
        Ok(logs.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect())
    }

    /// The directory with the volumes of the cluster's pool.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.state.join("volumes")
    }

    /// The socket of its containerd.
    #[must_use]
    pub fn containerd_socket(&self) -> PathBuf {
        self.state.join("run/containerd.sock")
    }

    /// The process of a cluster component, such as `kubelet`.
    pub fn component(&self, name: &str) -> anyhow::Result<Process> {
        let path = self.state.join("run").join(format!("{name}.pid"));
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        Process::open(text.trim().parse()?).with_context(|| format!("{name} is not running"))
    }
}

fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}
