//! A volume without room at the worst times: a small file system in a file, under the database's volume.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use rstest::rstest;
use serde_json::json;

/// A file system of its own, offered to one claim as a volume of its own storage class.
struct Small {
    name: String,
    file: PathBuf,
    mount: PathBuf,
}

impl Small {
    /// Makes it, with a program that makes file systems.
    async fn make(ns: &Namespace, mkfs: &[&str], mebibytes: u64) -> anyhow::Result<Self> {
        let name = ns.name().to_owned();
        let directory = std::env::temp_dir();
        let small = Self { file: directory.join(format!("{name}.img")), mount: directory.join(&name), name };
        std::fs::File::create(&small.file)?.set_len(mebibytes << 20)?;
        let (program, arguments) = mkfs.split_first().context("no program")?;
        run(Command::new(program).args(arguments).arg(&small.file))?;
        std::fs::create_dir(&small.mount)?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&small.file).arg(&small.mount))?;
        let volume = serde_json::from_value(json!({
            "metadata": {"name": small.name},
            "spec": {
                "capacity": {"storage": format!("{mebibytes}Mi")},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": small.name,
                "local": {"path": small.mount},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]},
                ]}},
            },
        }))?;
        let volumes = Api::<PersistentVolume>::all(ns.cluster().client.clone());
        volumes.create(&PostParams::default(), &volume).await?;
        Ok(small)
    }

    /// What a database asks for to get it.
    fn storage(&self) -> serde_json::Value {
        json!({
            "storageClassName": self.name,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "100Mi"}},
        })
    }

    /// Takes all room that there is.
    fn fill(&self) -> anyhow::Result<()> {
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

    fn make_room(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.mount.join("filler")
    }

    /// Takes the offer back: the volume goes with its claim.
    async fn withdraw(&self, ns: &Namespace) -> anyhow::Result<()> {
        let volumes = Api::<PersistentVolume>::all(ns.cluster().client.clone());
        volumes.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

impl Drop for Small {
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

const EXT4: &[&str] = &["mkfs.ext4", "-q", "-m", "0"];
const XFS: &[&str] = &["mkfs.xfs", "-q", "-m", "reflink=1"];

/// A volume that is filled at a moment of an upgrade.
async fn filled(mkfs: &[&str], mode: &str, moment: Moment) -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let small = Small::make(ns, mkfs, 640).await?;
            let result = fill_and_see(ns, &small, mode, moment).await;
            small.withdraw(ns).await?;
            result
        })
        .await
}

async fn fill_and_see(ns: &Namespace, small: &Small, mode: &str, moment: Moment) -> anyhow::Result<()> {
    let orders = fill(ns.postgres("orders").version("13.16").field("storage", small.storage())).await?;
    let before = orders.fingerprint().await?;
    let upgrade = ns.upgrade("up").database("orders").to("17.11");
    let upgrade = upgrade.annotation(ANNOTATION_TRANSFER_MODE, mode).create().await?;
    let watch = Watch::begin(&orders, &upgrade).await?;
    watch.reach(moment).await?;
    small.fill()?;
    // As long as there is a way back, the database comes to serve without anybody who makes room. Then somebody must,
    // and the upgrade goes on.
    let answers = Moment::Record(Step::StartDatabase, Mark::Succeeded);
    if watch.reach(answers).await.is_err() {
        upgrade.wait_ended().await?;
        orders.wait_ready().await?;
    }
    small.make_room()?;
    whole_either_way(&orders, &upgrade, "13.16", &before).await?;
    counts::add("faults", 1)
}

#[rstest]
#[case::in_the_preflight(Moment::Record(Step::Preflight, Mark::Started))]
#[case::while_the_new_cluster_is_made(Moment::Record(Step::DataDirectoryInitialized, Mark::Started))]
#[case::before_the_stop(Moment::Record(Step::PauseDatabase, Mark::Succeeded))]
#[case::when_pg_upgrade_begins(Moment::Record(Step::PgUpgraded, Mark::Started))]
#[case::while_schemas_are_restored(Moment::Stage(31))]
#[case::when_pg_upgrade_has_run(Moment::Record(Step::PgUpgraded, Mark::Succeeded))]
#[case::before_the_new_server_starts(Moment::Record(Step::StartDatabase, Mark::Started))]
#[tokio::test]
async fn volume_full_in_copy_mode(#[case] moment: Moment) -> anyhow::Result<()> {
    filled(EXT4, "copy", moment).await
}

#[rstest]
#[case::when_pg_upgrade_begins(Moment::Record(Step::PgUpgraded, Mark::Started))]
#[case::while_schemas_are_restored(Moment::Stage(31))]
#[case::before_the_new_server_starts(Moment::Record(Step::StartDatabase, Mark::Started))]
#[tokio::test]
async fn volume_full_in_clone_mode(#[case] moment: Moment) -> anyhow::Result<()> {
    filled(XFS, "clone", moment).await
}

#[rstest]
#[case::when_pg_upgrade_begins(Moment::Record(Step::PgUpgraded, Mark::Started))]
#[case::while_schemas_are_restored(Moment::Stage(31))]
#[tokio::test]
async fn volume_full_in_link_mode(#[case] moment: Moment) -> anyhow::Result<()> {
    filled(EXT4, "link", moment).await
}
