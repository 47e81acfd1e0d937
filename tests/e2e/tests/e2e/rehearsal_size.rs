//! The rehearsal of many databases, of many objects, and what the server's lock table allows.

use anyhow::{Context, ensure};
use pgops_api::condition;
use pgops_api::names;
use pgops_api::opsrequest::{CONDITION_SUCCESSFUL, PostgresOpsRequest};
use pgops_e2e::with_namespace;

fn message(request: &PostgresOpsRequest) -> anyhow::Result<String> {
    let conditions = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let end = condition::find(conditions, CONDITION_SUCCESSFUL).context("no condition Successful")?;
    Ok(end.message.clone().unwrap_or_default())
}

/// While one is compared, the next one is restored, and the one after it dumped: a template, one with a subscription, one with a
/// name that is not ASCII, and some that the target rejects.
#[tokio::test]
async fn databases_overlap_in_the_rehearsal_and_findings_keep_their_order() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        for name in ["b1", "b2", "b3", "b4", "b5", "größe"] {
            orders.sql("postgres", &format!("CREATE DATABASE \"{name}\"")).await?;
            orders.sql(name, "CREATE TABLE t (id serial PRIMARY KEY, name text DEFAULT 'x')").await?;
        }
        for (name, column) in [("b2", "buffers_backend"), ("b4", "buffers_backend_fsync")] {
            orders.sql(name, &format!("CREATE VIEW v AS SELECT {column} FROM pg_stat_bgwriter")).await?;
        }
        orders.sql("postgres", "ALTER DATABASE b3 IS_TEMPLATE true").await?;
        let subscription =
            "CREATE SUBSCRIPTION s CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)";
        orders.sql("b5", subscription).await?;

        let bad = ns.upgrade("bad").database("orders").to("17.11").create().await?;
        let (reason, text) = bad.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "{reason}: {text}");
        let place = |part: &str| text.find(part).with_context(|| format!("{part} is missing in {text}"));
        let of_b2 = place(
            "[schema-restore] database \"b2\": column pg_stat_bgwriter.buffers_backend does not exist",
        )?;
        let of_b4 = place(
            "[schema-restore] database \"b4\": column pg_stat_bgwriter.buffers_backend_fsync does not",
        )?;
        ensure!(of_b2 < of_b4, "the findings are not in the order of the databases: {text}");
        ensure!(text.contains("2 findings block the upgrade"), "{text}");

        for name in ["b2", "b4"] {
            orders.sql(name, "DROP VIEW v").await?;
        }
        let dry = ns.upgrade("dry").database("orders").to("17.11");
        let dry = dry.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
        let text = message(&dry.wait_successful().await?)?;
        // With template1 and postgres.
        ensure!(
            text.contains("schema of 8 databases restored into a scratch 17.11 server: 6 tables"),
            "{text}"
        );
        ensure!(!text.contains("not-carried"), "what another restore has left was compared: {text}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn large_objects_are_rehearsed_estimated_and_carried() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", "CREATE ROLE app").await?;
        // More than the restore of 17 puts into one transaction, with another owner and a grant each.
        let create = "DO $$ DECLARE lo oid; BEGIN FOR i IN 1..5000 LOOP lo := lo_from_bytea(0, 'content'); \
                      EXECUTE format('ALTER LARGE OBJECT %s OWNER TO app', lo); \
                      EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO PUBLIC', lo); \
                      IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$";
        orders.sql("postgres", create).await?;
        let digest = "SELECT count(*) || ' ' || sum(hashtext(oid || lomowner::regrole::text || array_length(lomacl, 1) || \
                      lo_get(oid)::text)) FROM pg_largeobject_metadata";
        let before = orders.value(digest).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let request = upgrade.wait_successful().await?;
        ensure!(orders.value(digest).await? == before, "the large objects have changed");
        let text = message(&request)?;
        ensure!(text.contains("17.11"), "{text}");
        Ok(())
    })
    .await
}

/// As many tables as fit, each with a sequence, which do not.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn database_whose_sequences_would_fill_the_lock_table_is_not_rehearsed() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let create = "DO $$ DECLARE half int := current_setting('max_locks_per_transaction')::int / 2 * \
                        (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int); \
                      BEGIN FOR i IN 1..half * 3 / 4 LOOP EXECUTE format('CREATE TABLE t%s (id serial)', i); \
                        IF i % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$";
        orders.sql("postgres", "CREATE DATABASE large").await?;
        orders.sql("large", create).await?;
        let dry = ns.upgrade("dry").database("orders").to("17.11");
        let dry = dry.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
        let text = message(&dry.wait_successful().await?)?;
        let part = "[schema-not-rehearsed] note: dumping the schema of database \"large\"";
        ensure!(text.contains(part), "{part} is missing in {text}");
        ensure!(!text.contains("estimated outage"), "an estimate without a rehearsal: {text}");
        Ok(())
    })
    .await
}
