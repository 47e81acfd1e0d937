//! Clients change definitions while their database is being upgraded: what was not rehearsed is not upgraded.

use std::convert::Infallible;

use anyhow::ensure;
use pgops_api::plan::Step;
use pgops_e2e::{DataSet, Database, assert_untouched, with_namespace};

/// Rights that did not exist when the preflight looked.
const LATE: &str = "CREATE ROLE late; CREATE SCHEMA late; CREATE TABLE late.t (id int);
    CREATE FUNCTION late.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
    GRANT USAGE ON SCHEMA late TO late; GRANT SELECT ON late.t TO late";

/// Creates one table after the other.
async fn keep_creating(orders: &Database) -> anyhow::Result<Infallible> {
    let mut number = 0;
    loop {
        number += 1;
        orders.sql("postgres", &format!("CREATE TABLE part_{number} (id int)")).await?;
    }
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn definitions_that_never_settle_end_the_request_before_the_outage() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = tokio::select! {
            failed = upgrade.wait_failed() => failed?,
            stopped = keep_creating(&orders) => match stopped? {},
        };
        ensure!(reason == "PauseDatabaseFailed", "{reason}: {message}");
        for part in ["[definitions-keep-changing] ", "public.part_", "in \"postgres\""] {
            ensure!(message.contains(part), "{part:?} should be in: {message}");
        }
        let before = orders.fingerprint().await?;
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn what_is_lost_is_refused_also_if_it_is_created_after_the_preflight() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let late = async {
            upgrade.wait_step(Step::DataDirectoryInitialized).await?;
            let create = "CREATE FUNCTION pg_catalog.late() RETURNS int LANGUAGE sql AS 'SELECT 1'";
            orders.sql("postgres", create).await
        };
        // While definitions change the preflight is repeated: one of the repetitions sees the function.
        tokio::select! {
            created = late => created.map(drop)?,
            stopped = keep_creating(&orders) => match stopped? {},
        }
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PauseDatabaseFailed", "{reason}: {message}");
        ensure!(message.contains("pg_catalog.late()"), "the function should be named: {message}");
        let before = orders.fingerprint().await?;
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

#[tokio::test]
async fn definitions_that_settle_are_rehearsed_again_and_carried() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let initialized = upgrade.wait_step(Step::DataDirectoryInitialized);
        tokio::select! {
            reached = initialized => reached?,
            stopped = keep_creating(&orders) => match stopped? {},
        }
        // The last look is over by then. What is created still is not rehearsed, and no escalation.
        orders.sql_once_paused("postgres", LATE).await?;
        upgrade.wait_successful().await?;
        let report = upgrade.whole_report().await?;
        for part in ["the preflight was repeated", "the new server's catalogs hold all"] {
            ensure!(report.contains(part), "the report should say {part:?}: {report}");
        }
        let granted = orders.value("SELECT has_table_privilege('late', 'late.t', 'SELECT')").await?;
        ensure!(granted == "t", "late.t should be carried with its grants: {granted}");
        Ok(())
    })
    .await
}

/// Large objects are rows of a system catalog, and temporary tables too: neither is a change of definitions.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn large_objects_and_temporary_tables_do_not_repeat_the_preflight() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let write = "CREATE TEMPORARY TABLE scratch (id serial PRIMARY KEY, t text CHECK (t <> '')); SELECT lo_create(0)";
        // Until the server is stopped.
        let keep_writing = async { while orders.sql("postgres", write).await.is_ok() {} };
        tokio::select! {
            reached = upgrade.wait_step(Step::StopDatabase) => reached?,
            () = keep_writing => {}
        }
        upgrade.wait_successful().await?;
        let report = upgrade.whole_report().await?;
        ensure!(!report.contains("the preflight was repeated"), "{report}");
        Ok(())
    })
    .await
}
