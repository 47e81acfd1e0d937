//! Extensions are updated to the versions of the new image after the outage.

use anyhow::ensure;
use pgops_api::plan::Step;
use pgops_e2e::{Cluster, assert_step_given_up, assert_upgraded, with_namespace};
use serde_json::json;

const OUTDATED: &str = "SELECT count(*) FROM pg_extension JOIN pg_available_extensions ON name = extname
    WHERE default_version <> extversion";

#[tokio::test]
async fn extensions_are_updated_to_versions_of_new_image() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let extensions =
            "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm;
            CREATE EXTENSION cube; CREATE EXTENSION earthdistance; CREATE EXTENSION \"uuid-ossp\"";
        orders.sql("postgres", extensions).await?;
        // Its update drops functions, and what replaces them has these rights by itself.
        let by_default = "CREATE ROLE reader; ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO reader;
            ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; CREATE EXTENSION pageinspect";
        orders.sql("postgres", by_default).await?;
        orders.sql("postgres", "CREATE DATABASE \"odd \"\"name\"\"\"").await?;
        orders.sql("odd \"name\"", "CREATE EXTENSION pg_stat_statements VERSION '1.4'").await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        let version = "SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements'";
        for dbname in ["postgres", "odd \"name\""] {
            let versions = orders.sql(dbname, version).await?.concat();
            ensure!(versions == ["1.11"], "pg_stat_statements of {dbname} is {versions:?}");
            let outdated = orders.sql(dbname, OUTDATED).await?.concat();
            ensure!(outdated == ["0"], "{outdated:?} extensions of {dbname} are outdated");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn extension_that_cannot_be_updated_does_not_fail_the_upgrade() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders
            .sql(
                "postgres",
                "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_trgm VERSION '1.3';
                CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF current_query() LIKE '%pg_stat_statements%' THEN RAISE 'not this one'; END IF;
                END $$;
                CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('ALTER EXTENSION')
                    EXECUTE FUNCTION refuse()",
            )
            .await?;
        // From 17 on the sessions of pgops run without event triggers.
        let upgrade = ns.upgrade("orders-15").database("orders").to("15.20").create().await?;
        let request = upgrade.wait_successful().await?;
        // What code of users says may have their values: the server's log has it.
        let parts = ["pg_stat_statements", "raised by code of a user", "ALTER EXTENSION"];
        assert_step_given_up(&request, Step::UpdateExtensions, &parts)?;
        let report = upgrade.report("report").await?;
        let note = "[extension-update-fails] note: extension pg_stat_statements 1.8 in database \"postgres\"";
        ensure!(report.contains(note), "the failure was not known before the outage:\n{report}");
        ensure!(!report.contains("extension-update-fails] note: extension pg_trgm"), "{report}");
        let versions =
            "SELECT extname || ' ' || extversion FROM pg_extension WHERE extname LIKE 'pg_%' ORDER BY 1";
        let versions = orders.sql("postgres", versions).await?.concat();
        ensure!(versions == ["pg_stat_statements 1.8", "pg_trgm 1.6"], "{versions:?}");
        Ok(())
    })
    .await
}

/// `show_limit` has no parameters, `pg_stat_statements_reset` only ones with defaults; it fails where its library is not
/// preloaded.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn update_functions_of_a_catalog_entry_are_run_or_named() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let spec = json!({
        "version": "17.11",
        "db": {"image": format!("{}/postgres:17.11", cluster.registry), "baseOS": "debian"},
        "extensions": [
            {"name": "pg_trgm", "updateFunction": "show_limit"},
            {"name": "pg_stat_statements", "updateFunction": "pg_stat_statements_reset"},
            {"name": "hstore", "notCarried": "< 1.8"},
            {"name": "fuzzystrmatch", "updateFunction": "upgrade"},
        ],
    });
    cluster
        .with_catalog_entry("e2e-extensions", spec, async || {
            cluster
                .with_namespace(async |ns| {
                    let orders = ns.postgres("orders").version("13.16").ready().await?;
                    let extensions = "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_trgm;
                        CREATE EXTENSION fuzzystrmatch; CREATE EXTENSION hstore";
                    orders.sql("postgres", extensions).await?;
                    let to = |name: &str| ns.upgrade(name).database("orders").to("e2e-extensions");
                    let (reason, message) = to("orders-hstore").create().await?.wait_failed().await?;
                    ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
                    let refused = "[extension-not-carried] extension hstore 1.7 in database \"postgres\"";
                    ensure!(message.contains(refused), "the message should contain {refused:?}: {message}");

                    orders.sql("postgres", "DROP EXTENSION hstore").await?;
                    let request = to("orders-17").create().await?.wait_successful().await?;
                    let parts = [
                        "its function pg_stat_statements_reset was not run: ",
                        "its function upgrade was not run: extension \"fuzzystrmatch\" has no function upgrade",
                    ];
                    assert_step_given_up(&request, Step::UpdateExtensions, &parts)?;
                    let status = format!("{:?}", request.status);
                    ensure!(!status.contains("show_limit was not run"), "show_limit was not run: {status}");
                    Ok(())
                })
                .await
        })
        .await
}
