//! Nothing of pgops needs the database `postgres`, which users may drop or rename.

use anyhow::ensure;
use pgops_api::plan::UpgradeKind;
use pgops_e2e::{ensure_request_is_complete, with_namespace};

/// The minor upgrade makes a new pod Ready without the database, the major one begins without it and ends with it: the new
/// cluster has one.
#[tokio::test]
async fn server_without_the_database_postgres_is_upgraded() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("template1", "CREATE DATABASE shop").await?;
        orders.sql("shop", "CREATE TABLE t AS SELECT 42 AS a").await?;
        orders.sql("template1", "DROP DATABASE postgres WITH (FORCE)").await?;
        let upgrade = ns.upgrade("orders-13-23").database("orders").to("13.23").create().await?;
        ensure_request_is_complete(&upgrade.wait_successful().await?, UpgradeKind::Minor)?;
        orders.wait_ready().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        ensure_request_is_complete(&upgrade.wait_successful().await?, UpgradeKind::Major)?;
        orders.wait_ready().await?;
        let rows = orders.sql("shop", "SELECT a FROM t").await?.concat();
        ensure!(rows == ["42"], "the table has {rows:?}");
        let version = orders.server_version().await?;
        ensure!(version == "17.11", "the server reports {version}");
        Ok(())
    })
    .await
}
