//! A volume without room at the worst times: a small file system in a file, under the database's volume.

use super::*;
use pgops_e2e::{FileSystem, LoopVolume, with_namespace};
use rstest::rstest;

/// A volume that is filled at a moment of an upgrade.
async fn filled(fs: FileSystem, mode: &str, moment: KillPoint) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let small = LoopVolume::create(ns.cluster(), ns.name(), fs, 640).await?;
        let result = fill_and_see(ns, &small, mode, moment).await;
        small.delete().await?;
        result
    })
    .await
}

async fn fill_and_see(
    ns: &Namespace,
    small: &LoopVolume,
    mode: &str,
    moment: KillPoint,
) -> anyhow::Result<()> {
    let orders = fill(ns.postgres("orders").version("13.16").field("storage", small.claim())).await?;
    let before = orders.fingerprint().await?;
    let upgrade = ns.upgrade("up").database("orders").to("17.11");
    let upgrade = upgrade.annotation(ANNOTATION_TRANSFER_MODE, mode).create().await?;
    let observer = UpgradeObserver::start(&orders, &upgrade).await?;
    observer.reach(moment).await?.runner.while_stopped(|| small.fill())?;
    // The database comes to serve without anybody who makes room: the old version as long as there is a way back, then
    // the new one. What comes after the outage needs room, and somebody makes it.
    let answers = KillPoint::Record(Step::StartDatabase, Event::Succeeded);
    if observer.reach(answers).await.is_err() {
        upgrade.wait_ended().await?;
        orders.wait_ready().await?;
    }
    small.free_space()?;
    if upgrade.wait_ended().await? == Phase::Failed {
        let (reason, message) = upgrade.wait_failed().await?;
        let says_why = [" MiB free", "No space left"].iter().any(|words| message.contains(words));
        ensure!(reason != "PgUpgradedFailed" || says_why, "nobody says why: {message}");
        assert_untouched(&orders, "13.16", &before).await?;
    } else if mode == "link" {
        // There was no way back, and the new server may have had no room at first.
        assert_upgraded_allowing_restarts(&orders, &upgrade, &before).await?;
    } else {
        assert_upgraded(&orders, &upgrade, &before).await?;
    }
    counts::add("faults", 1)
}

#[rstest]
#[case::in_the_preflight(KillPoint::Record(Step::Preflight, Event::Started))]
#[case::while_the_new_cluster_is_made(KillPoint::Record(Step::DataDirectoryInitialized, Event::Started))]
#[case::before_the_stop(KillPoint::Record(Step::PauseDatabase, Event::Succeeded))]
#[case::when_pg_upgrade_begins(KillPoint::Record(Step::PgUpgraded, Event::Started))]
#[case::while_schemas_are_restored(KillPoint::Stage(31))]
#[case::when_pg_upgrade_has_run(KillPoint::Record(Step::PgUpgraded, Event::Succeeded))]
#[case::before_the_new_server_starts(KillPoint::Record(Step::StartDatabase, Event::Started))]
#[tokio::test]
async fn volume_full_in_copy_mode(#[case] moment: KillPoint) -> anyhow::Result<()> {
    filled(FileSystem::Ext4, "copy", moment).await
}

#[rstest]
#[case::when_pg_upgrade_begins(KillPoint::Record(Step::PgUpgraded, Event::Started))]
#[case::while_schemas_are_restored(KillPoint::Stage(31))]
#[case::before_the_new_server_starts(KillPoint::Record(Step::StartDatabase, Event::Started))]
#[tokio::test]
async fn volume_full_in_clone_mode(#[case] moment: KillPoint) -> anyhow::Result<()> {
    filled(FileSystem::XfsWithReflinks, "clone", moment).await
}

#[rstest]
#[case::when_pg_upgrade_begins(KillPoint::Record(Step::PgUpgraded, Event::Started))]
#[case::while_schemas_are_restored(KillPoint::Stage(31))]
#[case::when_pg_upgrade_has_run(KillPoint::Record(Step::PgUpgraded, Event::Succeeded))]
#[case::before_the_new_server_starts(KillPoint::Record(Step::StartDatabase, Event::Started))]
#[tokio::test]
async fn volume_full_in_link_mode(#[case] moment: KillPoint) -> anyhow::Result<()> {
    filled(FileSystem::Ext4, "link", moment).await
}
