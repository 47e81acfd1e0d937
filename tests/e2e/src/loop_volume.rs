//! A file system in a file, for tests that the directories of the test cluster's pool cannot cover.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::namespace::Namespace;

/// The type of the file system.
#[derive(Clone, Copy, Debug)]
pub enum FileSystem {
    /// Cannot clone files.
    Ext4,
    /// Can clone files.
    XfsWithReflinks,
}

impl FileSystem {
    fn mkfs(self) -> &'static [&'static str] {
        match self {
            Self::Ext4 => &["mkfs.ext4", "-q", "-m", "0"],
            Self::XfsWithReflinks => &["mkfs.xfs", "-q", "-m", "reflink=1"],
        }
    }
}

/// A loop-mounted file system, offered as a volume of its own storage class.
pub struct LoopVolume {
    name: String,
    class: String,
    file: PathBuf,
    mount: PathBuf,
    volumes: Api<PersistentVolume>,
}

/// Runs a test with a volume of that many mebibytes, whose class claims to expand volumes. No driver does: the test does what one
/// would.
pub async fn with_expandable_volume(
    ns: &Namespace,
    mebibytes: u64,
    test: impl AsyncFnOnce(&LoopVolume) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let cluster = ns.cluster();
    let volume = LoopVolume::create(cluster, ns.name(), FileSystem::Ext4, mebibytes).await?;
    let classes = Api::<StorageClass>::all(cluster.client.clone());
    let class = json!({
        "metadata": {"name": ns.name()}, "provisioner": "kubernetes.io/no-provisioner",
        "allowVolumeExpansion": true, "volumeBindingMode": "WaitForFirstConsumer",
    });
    classes.create(&PostParams::default(), &serde_json::from_value(class)?).await?;
    let result = test(&volume).await;
    classes.delete(ns.name(), &DeleteParams::default()).await?;
    volume.delete().await?;
    result
}

impl LoopVolume {
    /// Creates it on this machine, the test cluster's node, as the only one of its class. `name` must be unique.
    pub async fn create(
        cluster: &Cluster,
        name: &str,
        file_system: FileSystem,
        mebibytes: u64,
    ) -> anyhow::Result<Self> {
        Self::create_in_class(cluster, name, name, file_system, mebibytes).await
    }

    /// Creates one of several of a class.
    pub async fn create_in_class(
        cluster: &Cluster,
        class: &str,
        name: &str,
        file_system: FileSystem,
        mebibytes: u64,
    ) -> anyhow::Result<Self> {
        let directory = std::env::temp_dir();
        let created = Self {
            name: name.to_owned(),
            class: class.to_owned(),
            file: directory.join(format!("{name}.img")),
            mount: directory.join(name),
            volumes: Api::all(cluster.client.clone()),
        };
        std::fs::File::create(&created.file)?.set_len(mebibytes << 20)?;
        let (program, arguments) = file_system.mkfs().split_first().context("no program")?;
        run(Command::new(program).args(arguments).arg(&created.file))?;
        std::fs::create_dir(&created.mount)?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&created.file).arg(&created.mount))?;
        let volume = serde_json::from_value(json!({
            "metadata": {"name": created.name},
            "spec": {
                "capacity": {"storage": format!("{mebibytes}Mi")},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": created.class,
                "local": {"path": created.mount},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]},
                ]}},
            },
        }))?;
        created.volumes.create(&PostParams::default(), &volume).await?;
        Ok(created)
    }

    /// The name of its `PersistentVolume`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The spec of a volume claim that binds to one of its class.
    #[must_use]
    pub fn claim(&self) -> Value {
        json!({
            "storageClassName": self.class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "100Mi"}},
        })
    }

    /// Fills it completely.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut filler = std::fs::File::create(self.filler())?;
        // The last free blocks may be smaller than a large chunk.
        for chunk in [vec![7; 1 << 20], vec![7; 512]] {
            while filler.write_all(&chunk).is_ok() {}
        }
        ensure!(
            std::fs::write(self.mount.join("more"), [7; 4096]).is_err(),
            "the volume still has free space"
        );
        Ok(())
    }

    /// Frees the space that [`Self::fill`] has taken.
    pub fn free_space(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.mount.join("filler")
    }

    /// Deletes the `PersistentVolume`, which is finalized together with its claim.
    pub async fn delete(&self) -> anyhow::Result<()> {
        self.volumes.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

impl Drop for LoopVolume {
    fn drop(&mut self) {
        // Best effort: a pod that is still terminating holds the mount, which disappears with it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.mount).status();
        let _ = std::fs::remove_dir(&self.mount);
        let _ = std::fs::remove_file(&self.file);
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("failed to run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
