//! The volume of a server becomes full: each one is a small file system in a file.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use pgops_api::members::MemberRole;
use pgops_api::names;
use pgops_e2e::fault_injection::{ServerPart, Stopped};
use pgops_e2e::{Database, FileSystem, LoopVolume, Namespace, with_namespace};
use rstest::rstest;

use super::fault::uid_of;
use super::promise::Promise;
use super::trial::Trial;
use crate::scenario::{definition, streaming};

const SERVERS: u32 = 3;
const MEBIBYTES: u64 = 400;
/// How long it stays full.
const FULL: Duration = Duration::from_secs(30);

#[rstest]
#[case::primary(MemberRole::Primary)]
#[case::standby(MemberRole::Standby)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "in make test-all only: its kind has another test"]
async fn database_survives_a_full_volume(#[case] role: MemberRole) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let mut volumes = Vec::new();
        for number in 0..SERVERS {
            let name = format!("{}-{number}", ns.name());
            let created =
                LoopVolume::create_in_class(ns.cluster(), ns.name(), &name, FileSystem::Ext4, MEBIBYTES);
            volumes.push(created.await?);
        }
        let result = fill_one(ns, &volumes, role).await;
        for volume in &volumes {
            volume.delete().await?;
        }
        result
    })
    .await
}

async fn fill_one(ns: &Namespace, volumes: &[LoopVolume], role: MemberRole) -> anyhow::Result<()> {
    let claim = volumes.first().context("no volume")?.claim();
    let mut trial = Trial::start(streaming(definition(ns).field("storage", claim)).await?).await?;
    let fill = async |orders: &Database, pod: &str| {
        let volume = volume_of(orders, pod, volumes).await?;
        let uid = uid_of(orders, pod).await?;
        // It would free space meanwhile.
        let stopped = Stopped::stop_all(|| ServerPart::Container.processes(&uid))?;
        volume.fill()?;
        drop(stopped);
        tokio::time::sleep(FULL).await;
        volume.free_space()
    };
    trial.survive_by("Full volume", Promise::OnePrimary, role, fill).await?;
    trial.end().await
}

/// The volume of a pod.
async fn volume_of<'a>(
    orders: &Database,
    pod: &str,
    volumes: &'a [LoopVolume],
) -> anyhow::Result<&'a LoopVolume> {
    let ordinal = pod.rsplit('-').next().and_then(|ordinal| ordinal.parse().ok());
    let claim = names::claim(orders.name(), ordinal.context("the pod has no ordinal")?);
    let claim = orders.namespace().api::<PersistentVolumeClaim>().get(&claim).await?;
    let name = claim.spec.and_then(|spec| spec.volume_name).context("the claim has no volume")?;
    volumes.iter().find(|volume| volume.name() == name).context("the volume is of another class")
}
