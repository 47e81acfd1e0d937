//! Major upgrades, with data and clusters of many kinds.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use pgops_api::names;
use pgops_e2e::probe::Probe;
use pgops_e2e::{DataSet, assert_upgraded, with_namespace};
use serde_json::json;

/// An in-place upgrade of a small database must have a shorter outage, even on two busy cores.
const LONGEST_OUTAGE_MILLISECONDS: u64 = 90_000;

#[tokio::test]
async fn major_13_16_to_17_11_keeps_everything() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("orders-conf", "user.conf", "work_mem = '12MB'\nwal_keep_size = '64MB'\n").await?;
        let orders = ns.postgres("orders").version("13.16").initdb("--locale=en_US.UTF-8 --encoding=UTF8");
        let orders = orders.field("configSecret", json!({"name": "orders-conf"}));
        let orders = orders.filled_with(&[DataSet::Everything]).await?;
        assert_eq!(orders.value("SHOW work_mem").await?, "12MB");
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        assert_eq!(orders.value("SHOW work_mem").await?, "12MB");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn major_15_20_to_18_6_by_links_keeps_contrib_extensions() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("15.20").initdb("--locale=en_US.UTF-8 --encoding=UTF8");
        let orders = orders.filled_with(&[DataSet::Contrib]).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-18").database("orders").to("18.6");
        let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, "link").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// 18's initdb enables checksums by default, and this cluster has none.
/// A client that writes through the Service during the upgrade loses no acknowledged write.
#[tokio::test]
async fn major_17_12_to_18_6_without_checksums_loses_no_acknowledged_write() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.12").initdb("--no-data-checksums").ready().await?;
        assert_eq!(orders.value("SHOW data_checksums").await?, "off");
        let probe = Probe::start(&orders).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-18").database("orders").to("18.6").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        let seen = probe.stop().await?;
        let gap = seen.longest_gap_milliseconds;
        eprintln!("outage seen by the client: {gap} ms, {} writes acknowledged", seen.acknowledged);
        ensure!(gap < LONGEST_OUTAGE_MILLISECONDS, "the client could not write for {gap} ms");
        ensure!(seen.ranges.len() > 1, "the client saw no outage at all: was the server replaced?");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn major_17_12_to_18_6_by_copied_ranges_keeps_checksums() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.12").filled_with(&[DataSet::Kept]).await?;
        assert_eq!(orders.value("SHOW data_checksums").await?, "on");
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-18").database("orders").to("18.6");
        let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, "copy-file-range").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        assert_eq!(orders.value("SHOW data_checksums").await?, "on");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn major_13_16_to_17_11_keeps_locale_encoding_and_segment_size() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let arguments = "--locale=de_DE --encoding=LATIN1 --wal-segsize=64 --no-data-checksums";
        let orders = ns.postgres("orders").version("13.16").initdb(arguments);
        let orders = orders.filled_with(&[DataSet::Latin1]).await?;
        let settings =
            "SELECT concat_ws(' ', current_setting('server_encoding'), current_setting('wal_segment_size'),
            current_setting('data_checksums'), datcollate) FROM pg_database WHERE datname = 'worte'";
        assert_eq!(orders.value(settings).await?, "LATIN1 64MB off de_DE");
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        assert_eq!(orders.value(settings).await?, "LATIN1 64MB off de_DE");
        Ok(())
    })
    .await
}

/// A system catalog of this size makes servers JIT-compile queries, which fails without LLVM.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn major_13_16_to_17_11_by_copy_with_400_tables() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Wide]).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11");
        let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, "copy").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// The data is owned by the old image's user, which may differ from that of the new image's catalog entry.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn major_15_18_to_17_12_keeps_uid_of_data() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("15.18-uid1999").filled_with(&[DataSet::Kept]).await?;
        let uid = async || {
            let pod = ns.api::<Pod>().get(&names::pod("orders", 0)).await?;
            let context = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
            anyhow::Ok(context.and_then(|context| context.run_as_user))
        };
        ensure!(uid().await? == Some(1999), "before the upgrade the pod runs as uid {:?}", uid().await?);
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.12").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure!(uid().await? == Some(1999), "after the upgrade the pod runs as uid {:?}", uid().await?);
        Ok(())
    })
    .await
}
