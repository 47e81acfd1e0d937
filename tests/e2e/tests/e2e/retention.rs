//! The old data of a major upgrade: kept for as long as the user wants, then removed by the new server.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::jiff::Timestamp;
use pgops_api::condition;
use pgops_api::names::{ANNOTATION_KEEP_OLD_DATA, ANNOTATION_TRANSFER_MODE};
use pgops_api::opsrequest::CONDITION_SUCCESSFUL;
use pgops_e2e::{DataSet, Database, Namespace, assert_upgraded, with_namespace};

/// Whether the volume has data of version 13.
async fn has_old_data(orders: &Database) -> anyhow::Result<bool> {
    let found = orders.value("SELECT count(*) FROM pg_ls_dir('/var/pv') AS name WHERE name = '13'").await?;
    Ok(found != "0")
}

/// A database that was upgraded with these annotations, and the last words of its request.
async fn upgraded(ns: &Namespace, annotations: &[(&str, &str)]) -> anyhow::Result<(Database, String)> {
    let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
    let before = orders.fingerprint().await?;
    let request = ns.upgrade("orders-17").database("orders").to("17.11");
    let request = annotations.iter().fold(request, |request, (name, value)| request.annotation(name, value));
    let upgrade = request.create().await?;
    assert_upgraded(&orders, &upgrade, &before).await?;
    let status = upgrade.wait_successful().await?.status.context("the request has no status")?;
    let end = condition::find(&status.conditions, CONDITION_SUCCESSFUL).context("the end is not told")?;
    Ok((orders, end.message.clone().unwrap_or_default()))
}

#[tokio::test]
async fn old_data_that_is_whole_is_kept_for_a_day_and_the_request_says_so() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, message) = upgraded(ns, &[(ANNOTATION_TRANSFER_MODE, "copy")]).await?;
        ensure!(
            message.contains("the data of 13.16 (") && message.contains("is kept on the volume until 2"),
            "{message}"
        );
        ensure!(has_old_data(&orders).await?, "the old data is gone");
        Ok(())
    })
    .await
}

/// Waits until the server has removed the old data.
async fn wait_gone(orders: &Database) -> anyhow::Result<()> {
    let gone = async {
        // A directory on a volume cannot be watched from here.
        while has_old_data(orders).await? {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_mins(2), gone).await.context("the old data stays")?
}

#[tokio::test]
async fn old_data_goes_when_its_time_has_come() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let annotations = [(ANNOTATION_TRANSFER_MODE, "copy"), (ANNOTATION_KEEP_OLD_DATA, "40s")];
        let (orders, message) = upgraded(ns, &annotations).await?;
        let (_, until) =
            message.split_once("is kept on the volume until ").with_context(|| message.clone())?;
        let until: Timestamp = until.split_whitespace().next().unwrap_or_default().parse()?;
        ensure!(has_old_data(&orders).await? || Timestamp::now() >= until, "it was to be kept until {until}");
        wait_gone(&orders).await?;
        ensure!(Timestamp::now() >= until, "it was to be kept until {until}");
        Ok(())
    })
    .await
}

#[rstest::rstest]
#[case::as_its_owner_wants(&[(ANNOTATION_TRANSFER_MODE, "copy"), (ANNOTATION_KEEP_OLD_DATA, "0")])]
#[case::by_links_where_it_is_of_no_use(&[(ANNOTATION_TRANSFER_MODE, "link"), (ANNOTATION_KEEP_OLD_DATA, "72h")])]
#[tokio::test]
async fn old_data_goes_once_the_upgrade_is_done(#[case] annotations: &[(&str, &str)]) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, message) = upgraded(ns, annotations).await?;
        ensure!(!message.contains("is kept"), "{message}");
        wait_gone(&orders).await
    })
    .await
}
