//! A volume that becomes full at critical points: the database's volume is a small file system in a file.

use anyhow::ensure;
use pgops_api::names::ANNOTATION_TRANSFER_MODE;
use pgops_api::opsrequest::Phase;
use pgops_api::plan::Step;
use pgops_e2e::fault_injection::{Event, KillPoint, UpgradeObserver};
use pgops_e2e::{
    FileSystem, LoopVolume, Namespace, assert_untouched, assert_upgraded, assert_upgraded_allowing_restarts,
    counts, with_namespace,
};
use rstest::rstest;

use crate::scenario::create_filled;

/// An upgrade whose volume becomes full at a point.
async fn assert_survives_full_volume(fs: FileSystem, mode: &str, point: KillPoint) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let small = LoopVolume::create(ns.cluster(), ns.name(), fs, 640).await?;
        let result = upgrade_on(ns, &small, mode, point).await;
        small.delete().await?;
        result
    })
    .await
}

async fn upgrade_on(ns: &Namespace, small: &LoopVolume, mode: &str, point: KillPoint) -> anyhow::Result<()> {
    let orders =
        create_filled(ns.postgres("orders").version("13.16").field("storage", small.claim())).await?;
    let before = orders.fingerprint().await?;
    let upgrade = ns.upgrade("up").database("orders").to("17.11");
    let upgrade = upgrade.annotation(ANNOTATION_TRANSFER_MODE, mode).create().await?;
    let observer = UpgradeObserver::start(&orders, &upgrade).await?;
    observer.reach(point).await?.runner.while_stopped(|| small.fill())?;
    // The database serves again without more space: the old version before the point of no return, otherwise the new
    // one. The steps after the outage need space, which is freed here.
    let answers = KillPoint::Record(Step::StartDatabase, Event::Succeeded);
    if observer.reach(answers).await.is_err() {
        upgrade.wait_ended().await?;
        orders.wait_ready().await?;
    }
    small.free_space()?;
    if upgrade.wait_ended().await? == Phase::Failed {
        let (reason, message) = upgrade.wait_failed().await?;
        let names_cause = [" MiB free", "No space left"].iter().any(|text| message.contains(text));
        ensure!(
            reason != "PgUpgradedFailed" || names_cause,
            "the message does not name the cause: {message}"
        );
        assert_untouched(&orders, "13.16", &before).await?;
    } else if mode == "link" {
        // Past the point of no return, and the new server may have had no space at first.
        assert_upgraded_allowing_restarts(&orders, &upgrade, &before).await?;
    } else {
        assert_upgraded(&orders, &upgrade, &before).await?;
    }
    counts::add("faults", 1)
}

#[rstest]
#[case::in_the_preflight(KillPoint::Record(Step::Preflight, Event::Started))]
#[case::while_the_new_cluster_is_created(KillPoint::Record(Step::DataDirectoryInitialized, Event::Started))]
#[case::before_the_stop(KillPoint::Record(Step::PauseDatabase, Event::Succeeded))]
#[case::when_pg_upgrade_begins(KillPoint::Record(Step::PgUpgraded, Event::Started))]
#[case::while_schemas_are_restored(KillPoint::Stage(31))]
#[case::when_pg_upgrade_has_run(KillPoint::Record(Step::PgUpgraded, Event::Succeeded))]
#[case::before_the_new_server_starts(KillPoint::Record(Step::StartDatabase, Event::Started))]
#[tokio::test]
async fn volume_full_in_copy_mode(#[case] point: KillPoint) -> anyhow::Result<()> {
    assert_survives_full_volume(FileSystem::Ext4, "copy", point).await
}

#[rstest]
#[case::when_pg_upgrade_begins(KillPoint::Record(Step::PgUpgraded, Event::Started))]
#[case::while_schemas_are_restored(KillPoint::Stage(31))]
#[case::before_the_new_server_starts(KillPoint::Record(Step::StartDatabase, Event::Started))]
#[tokio::test]
async fn volume_full_in_clone_mode(#[case] point: KillPoint) -> anyhow::Result<()> {
    assert_survives_full_volume(FileSystem::XfsWithReflinks, "clone", point).await
}

#[rstest]
#[case::when_pg_upgrade_begins(KillPoint::Record(Step::PgUpgraded, Event::Started))]
#[case::while_schemas_are_restored(KillPoint::Stage(31))]
#[case::when_pg_upgrade_has_run(KillPoint::Record(Step::PgUpgraded, Event::Succeeded))]
#[case::before_the_new_server_starts(KillPoint::Record(Step::StartDatabase, Event::Started))]
#[tokio::test]
async fn volume_full_in_link_mode(#[case] point: KillPoint) -> anyhow::Result<()> {
    assert_survives_full_volume(FileSystem::Ext4, "link", point).await
}
