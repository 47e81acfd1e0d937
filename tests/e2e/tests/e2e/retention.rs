//! Retention of the old data: kept for the requested time, then deleted by the new instance.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::jiff::Timestamp;
use pgops_api::condition;
use pgops_api::names::{ANNOTATION_KEEP_OLD_DATA, ANNOTATION_TRANSFER_MODE};
use pgops_api::opsrequest::CONDITION_SUCCESSFUL;
use pgops_e2e::{
    DataSet, Database, DatabaseBuilder, FileSystem, LoopVolume, Namespace, assert_upgraded, with_namespace,
};

/// Whether the volume has data of version 13.
async fn has_old_data(orders: &Database) -> anyhow::Result<bool> {
    let found = orders.value("SELECT count(*) FROM pg_ls_dir('/var/pv') AS name WHERE name = '13'").await?;
    Ok(found != "0")
}

/// A database that was upgraded with these annotations, and the message of its request.
async fn upgraded(ns: &Namespace, annotations: &[(&str, &str)]) -> anyhow::Result<(Database, String)> {
    upgrade(ns, ns.postgres("orders"), annotations).await
}

async fn upgrade(
    ns: &Namespace,
    orders: DatabaseBuilder,
    annotations: &[(&str, &str)],
) -> anyhow::Result<(Database, String)> {
    let orders = orders.version("13.16").filled_with(&[DataSet::Kept]).await?;
    let before = orders.fingerprint().await?;
    let request = ns.upgrade("orders-17").database("orders").to("17.11");
    let request = annotations.iter().fold(request, |request, (name, value)| request.annotation(name, value));
    let upgrade = request.create().await?;
    assert_upgraded(&orders, &upgrade, &before).await?;
    let status = upgrade.wait_successful().await?.status.context("the request has no status")?;
    let end = condition::find(&status.conditions, CONDITION_SUCCESSFUL)
        .context("the request has no condition Successful")?;
    Ok((orders, end.message.clone().unwrap_or_default()))
}

#[tokio::test]
async fn old_data_is_kept_for_a_day_and_the_request_reports_it() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, message) = upgraded(ns, &[(ANNOTATION_TRANSFER_MODE, "copy")]).await?;
        ensure!(
            message.contains("the data of 13.16 (") && message.contains("is kept on the volume until 2"),
            "{message}"
        );
        ensure!(has_old_data(&orders).await?, "the old data was deleted");
        Ok(())
    })
    .await
}

/// Waits until the instance has deleted the old data.
async fn wait_deleted(orders: &Database) -> anyhow::Result<()> {
    let deleted = async {
        // The test cannot watch a directory on a volume.
        while has_old_data(orders).await? {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_mins(2), deleted).await.context("the old data was not deleted")?
}

#[tokio::test]
async fn old_data_is_deleted_when_its_retention_expires() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let annotations = [(ANNOTATION_TRANSFER_MODE, "copy"), (ANNOTATION_KEEP_OLD_DATA, "40s")];
        let (orders, message) = upgraded(ns, &annotations).await?;
        let (_, until) =
            message.split_once("is kept on the volume until ").with_context(|| message.clone())?;
        let until: Timestamp = until.split_whitespace().next().unwrap_or_default().parse()?;
        ensure!(
            has_old_data(&orders).await? || Timestamp::now() >= until,
            "the old data was deleted before {until}"
        );
        wait_deleted(&orders).await?;
        ensure!(Timestamp::now() >= until, "the old data was deleted before {until}");
        Ok(())
    })
    .await
}

#[rstest::rstest]
#[case::zero_retention(&[(ANNOTATION_TRANSFER_MODE, "copy"), (ANNOTATION_KEEP_OLD_DATA, "0")])]
#[case::links_make_it_useless(&[(ANNOTATION_TRANSFER_MODE, "link"), (ANNOTATION_KEEP_OLD_DATA, "72h")])]
#[tokio::test]
async fn old_data_is_deleted_right_after_the_upgrade(
    #[case] annotations: &[(&str, &str)],
) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, message) = upgraded(ns, annotations).await?;
        ensure!(!message.contains("is kept"), "{message}");
        wait_deleted(&orders).await
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn old_data_is_deleted_before_its_time_when_the_volume_is_full() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let small = LoopVolume::create(ns.cluster(), ns.name(), FileSystem::XfsWithReflinks, 1500).await?;
        let result = fill_after_upgrade(ns, &small).await;
        small.delete().await?;
        result
    })
    .await
}

async fn fill_after_upgrade(ns: &Namespace, small: &LoopVolume) -> anyhow::Result<()> {
    let orders = ns.postgres("orders").field("storage", small.claim());
    let (orders, message) = upgrade(ns, orders, &[(ANNOTATION_TRANSFER_MODE, "clone")]).await?;
    ensure!(message.contains(" or until space is needed"), "{message}");
    ensure!(has_old_data(&orders).await?, "the old data was deleted although the volume has space");
    // It also takes what the deletion frees meanwhile.
    small.fill()?;
    wait_deleted(&orders).await?;
    small.free_space()?;
    orders.sql("postgres", "CREATE TABLE after AS SELECT generate_series(1, 1000)").await.map(drop)
}
