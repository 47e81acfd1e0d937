//! What comes after the outage: what an upgrade does while the database serves again.

use anyhow::{Context, ensure};
use pgops_api::condition;
use pgops_api::opsrequest::CONDITION_SUCCESSFUL;
use pgops_e2e::{Cluster, assert_upgraded};

const OUTDATED: &str = "SELECT count(*) FROM pg_extension JOIN pg_available_extensions ON name = extname
    WHERE default_version <> extversion";

#[tokio::test]
async fn extensions_get_the_version_that_the_new_image_brings() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = ns.postgres("orders").version("13.16").create().await?;
            orders.wait_ready().await?;
            let extensions =
                "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm;
                CREATE EXTENSION cube; CREATE EXTENSION earthdistance; CREATE EXTENSION \"uuid-ossp\"";
            orders.sql("postgres", extensions).await?;
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
async fn extension_that_cannot_be_updated_is_named_and_the_upgrade_is_successful() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = ns.postgres("orders").version("13.16").create().await?;
            orders.wait_ready().await?;
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
            let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
            let request = upgrade.wait_successful().await?;
            let conditions = &request.status.as_ref().context("the request has no status")?.conditions;
            let step =
                condition::find(conditions, "UpdateExtensions").context("the step has no condition")?;
            ensure!(step.status == "False", "the step that failed stands: {step:?}");
            ensure!(step.reason.as_deref() == Some("UpdateExtensionsFailed"), "its reason: {step:?}");
            let end = condition::find(conditions, CONDITION_SUCCESSFUL).context("the end is not told")?;
            for part in ["pg_stat_statements", "not this one", "ALTER EXTENSION"] {
                for condition in [step, end] {
                    let message = condition.message.as_deref().unwrap_or_default();
                    ensure!(message.contains(part), "{part:?} should be in {condition:?}");
                }
            }
            let versions =
                "SELECT extname || ' ' || extversion FROM pg_extension WHERE extname LIKE 'pg_%' ORDER BY 1";
            let versions = orders.sql("postgres", versions).await?.concat();
            ensure!(versions == ["pg_stat_statements 1.8", "pg_trgm 1.6"], "{versions:?}");
            Ok(())
        })
        .await
}
