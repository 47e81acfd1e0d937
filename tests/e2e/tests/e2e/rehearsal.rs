//! What the rehearsal reports: all errors, and as much of them as fits.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use pgops_api::names;
use pgops_e2e::with_namespace;

/// Several definitions that 17 rejects, others that use them, and one that belongs to an extension.
const REJECTED: &str = "
    CREATE VIEW written AS SELECT buffers_backend FROM pg_stat_bgwriter;
    CREATE VIEW of_written AS SELECT w.buffers_backend * 2 AS buffers FROM written w;
    COMMENT ON VIEW of_written IS 'uses the other one';
    CREATE MATERIALIZED VIEW kept_rows AS SELECT * FROM of_written;
    CREATE INDEX of_kept_rows ON kept_rows (buffers);
    CREATE FUNCTION stop() RETURNS pg_lsn LANGUAGE internal AS 'pg_stop_backup';
    CREATE EXTENSION hstore;
    CREATE VIEW of_extension AS SELECT b.buffers_backend_fsync FROM pg_stat_bgwriter b;
    ALTER EXTENSION hstore ADD VIEW of_extension";

#[tokio::test]
async fn rehearsal_reports_all_errors_at_once_and_an_extension_by_its_name() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", REJECTED).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        for part in [
            "[schema-restore] database \"postgres\": column pg_stat_bgwriter.buffers_backend does not exist (at: CREATE VIEW \
             \"public\".\"written\" AS)",
            "there is no built-in function named \"pg_stop_backup\"",
            "[extension-objects] extension hstore 1.7 in database \"postgres\": ",
            "view public.of_extension (column b.buffers_backend_fsync does not exist)",
        ] {
            ensure!(message.contains(part), "{part} is missing in {message}");
        }
        for consequence in ["of_written", "kept_rows"] {
            ensure!(!message.contains(consequence), "{consequence} only follows from another error: {message}");
        }
        Ok(())
    })
    .await
}

/// Far more than a condition holds: 1,000 views, each with a cause of its own.
const MANY: &str = "DO $$ BEGIN FOR i IN 1..1000 LOOP
    EXECUTE format('CREATE VIEW a_view_with_a_rather_long_name_of_its_own_%s AS
        SELECT b%s.buffers_backend FROM pg_stat_bgwriter b%s', i, i, i);
    END LOOP; END $$";

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn request_with_a_thousand_findings_ends_with_as_many_as_fit() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", MANY).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        for part in [
            "1000 findings block the upgrade",
            "column b1.buffers_backend",
            "all of them are in the Job's log",
        ] {
            ensure!(message.contains(part), "{part} is missing in {message}");
        }
        ensure!(message.len() <= 32 << 10, "the message has {} bytes", message.len());
        let reports = ns.api::<ConfigMap>();
        let report = reports.get(&names::report(upgrade.name())).await.context("there is no report")?;
        ensure!(report.data.is_some_and(|data| data.contains_key("report")), "the report is empty");
        Ok(())
    })
    .await
}
