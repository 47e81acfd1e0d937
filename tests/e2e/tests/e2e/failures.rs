//! Upgrades that cannot succeed: the database serves its old version, and the request reports the cause.

use anyhow::ensure;
use pgops_api::names;
use pgops_e2e::{Cluster, DataSet, Database, Namespace, UnreadableTable, assert_untouched, with_namespace};
use serde_json::json;

/// A database of 13.16 with some rows.
async fn orders(ns: &Namespace) -> anyhow::Result<Database> {
    ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await
}

/// The finding names the blocking object and its kind; `preflight.rs` has all findings.
#[rstest::rstest]
#[case::column_of_a_type_that_cannot_move("CREATE TABLE blocker (f regprocedure)", &["public.blocker.f", "reg* data types"])]
#[case::postfix_operator("CREATE OPERATOR public.!+ (LEFTARG = int8, PROCEDURE = int8um)", &["!+"])]
#[tokio::test]
async fn object_that_17_rejects_is_named_and_13_still_serves(
    #[case] obstacle: &str,
    #[case] named: &[&str],
) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = orders(ns).await?;
        orders.sql("postgres", obstacle).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(!reason.is_empty(), "the failure has no reason");
        for word in named {
            ensure!(message.contains(word), "the failure should name {word:?}: {reason}: {message}");
        }
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

/// An unreadable file makes `pg_upgrade` fail while it transfers files, long after the stop of the old server: the
/// upgrade is rolled back, and the old server has every row.
#[tokio::test]
async fn pg_upgrade_that_fails_halfway_is_rolled_back() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = orders(ns).await?;
        let table = UnreadableTable::create(&orders).await?;
        let before = orders.fingerprint().await?;
        table.close().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").field("maxRetries", json!(0));
        let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, "copy").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(!reason.is_empty(), "the failure has no reason");
        for word in ["serves 13.16 again", "pg_upgrade", "Permission denied"] {
            ensure!(message.contains(word), "the failure should contain {word:?}: {reason}: {message}");
        }
        orders.wait_ready().await?;
        table.open().await?;
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn image_that_cannot_be_pulled_fails_and_changes_nothing() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let image = format!("{}/postgres:nosuch", cluster.registry);
    let spec = json!({"version": "17.11", "db": {"image": image, "baseOS": "debian"}});
    cluster
        .with_catalog_entry("e2e-nosuch", spec, async || {
            cluster
                .with_namespace(async |ns| {
                    let orders = orders(ns).await?;
                    let before = orders.fingerprint().await?;
                    let upgrade =
                        ns.upgrade("orders-17").database("orders").to("e2e-nosuch").create().await?;
                    let (reason, message) = upgrade.wait_failed().await?;
                    ensure!(
                        message.contains(&image),
                        "the failure should name the image: {reason}: {message}"
                    );
                    assert_untouched(&orders, "13.16", &before).await
                })
                .await
        })
        .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn image_without_postgres_fails_and_changes_nothing() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let image = format!("{}/pgops-probe:latest", cluster.registry);
    let spec = json!({"version": "17.11", "db": {"image": image, "baseOS": "debian"}});
    cluster
        .with_catalog_entry("e2e-no-postgres", spec, async || {
            cluster
                .with_namespace(async |ns| {
                    let orders = orders(ns).await?;
                    let before = orders.fingerprint().await?;
                    let upgrade =
                        ns.upgrade("orders-17").database("orders").to("e2e-no-postgres").create().await?;
                    let (reason, message) = upgrade.wait_failed().await?;
                    ensure!(
                        !reason.is_empty() && !message.is_empty(),
                        "the failure has no reason or message"
                    );
                    assert_untouched(&orders, "13.16", &before).await
                })
                .await
        })
        .await
}
