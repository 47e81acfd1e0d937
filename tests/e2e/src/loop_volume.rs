//! A file system of its own in a file, for what the test cluster's pool of directories cannot show.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::Cluster;

/// What is made in the file.
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

/// A file system of its own, offered to claims as a volume of its own storage class.
pub struct LoopVolume {
    name: String,
    file: PathBuf,
    mount: PathBuf,
    volumes: Api<PersistentVolume>,
}

impl LoopVolume {
    /// Makes it, on the machine of the test cluster's node. Nothing else may be called `name`.
    pub async fn make(
        cluster: &Cluster,
        name: &str,
        file_system: FileSystem,
        mebibytes: u64,
    ) -> anyhow::Result<Self> {
        let directory = std::env::temp_dir();
        let made = Self {
            name: name.to_owned(),
            file: directory.join(format!("{name}.img")),
            mount: directory.join(name),
            volumes: Api::all(cluster.client.clone()),
        };
        std::fs::File::create(&made.file)?.set_len(mebibytes << 20)?;
        let (program, arguments) = file_system.mkfs().split_first().context("no program")?;
        run(Command::new(program).args(arguments).arg(&made.file))?;
        std::fs::create_dir(&made.mount)?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&made.file).arg(&made.mount))?;
        let volume = serde_json::from_value(json!({
            "metadata": {"name": made.name},
            "spec": {
                "capacity": {"storage": format!("{mebibytes}Mi")},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": made.name,
                "local": {"path": made.mount},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]},
                ]}},
            },
        }))?;
        made.volumes.create(&PostParams::default(), &volume).await?;
        Ok(made)
    }

    /// The claim of somebody who wants it.
    #[must_use]
    pub fn claim(&self) -> Value {
        json!({
            "storageClassName": self.name,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "100Mi"}},
        })
    }

    /// Takes all room that there is.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut filler = std::fs::File::create(self.filler())?;
        // The last blocks may be smaller than a large piece.
        for piece in [vec![7; 1 << 20], vec![7; 512]] {
            while filler.write_all(&piece).is_ok() {}
        }
        ensure!(
            std::fs::write(self.mount.join("more"), [7; 4096]).is_err(),
            "there is room on the full volume"
        );
        Ok(())
    }

    /// Gives that room back.
    pub fn make_room(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.mount.join("filler")
    }

    /// Takes the offer back: the volume goes with its claim.
    pub async fn withdraw(&self) -> anyhow::Result<()> {
        self.volumes.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

impl Drop for LoopVolume {
    fn drop(&mut self) {
        // Best effort: a pod that still ends holds the mount, which goes with it.
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
