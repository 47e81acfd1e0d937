//! Names that are not valid UTF-8, which a database with the encoding `SQL_ASCII` accepts: that of a role is refused, readably, and
//! those of a table and its index are carried. The test's own queries must not return them.

use anyhow::{Context, ensure};
use pgops_api::plan::UpgradeKind;
use pgops_e2e::{ensure_request_is_complete, with_namespace};

const DATABASE: &str =
    "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
/// A role, its table and an index that is rebuilt after an upgrade to 14 or newer: all are called `böse…` in Latin 1.
const OBJECTS: &str = "CREATE FUNCTION seconds(moment timestamp) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
        $$ BEGIN RETURN EXTRACT(epoch FROM moment); END $$;
    DO $do$ DECLARE odd text := convert_from('\\x62f67365'::bytea, 'SQL_ASCII'); BEGIN
        EXECUTE format('CREATE TABLE %I (seen timestamp)', odd);
        EXECUTE format('CREATE INDEX %I ON %I (seconds(seen))', odd || '_seconds', odd);
        EXECUTE format('INSERT INTO %I SELECT timestamp ''2020-01-01'' + g * interval ''1 day''
            FROM generate_series(0, 999) AS g', odd);
        EXECUTE format('CREATE VIEW visits AS SELECT * FROM %I', odd);
        EXECUTE format('CREATE ROLE %I', odd || '_role');
        EXECUTE format('ALTER TABLE %I OWNER TO %I', odd, odd || '_role');
    END $do$";
const RENAME: &str = "DO $do$ BEGIN
        EXECUTE format('ALTER ROLE %I RENAME TO clerk', convert_from('\\x62f67365'::bytea, 'SQL_ASCII') || '_role');
    END $do$";

const FOUND_BY_INDEX: &str = "SET enable_seqscan = off;
    SELECT sum((SELECT count(*) FROM visits WHERE seconds(seen) = seconds(timestamp '2020-01-01' + g * interval '1 day')))
    FROM generate_series(0, 999) AS g";
/// The index is rebuilt by its OID, in place.
const FILE: &str = "SELECT pg_relation_filenode(indexrelid) FROM pg_index WHERE indrelid >= 16384";
const OWNER: &str = "SELECT relowner::regrole FROM pg_class WHERE oid = (SELECT indrelid FROM pg_index WHERE indrelid >= 16384)";
const STATISTICS: &str = "SELECT count(*) FROM pg_statistic WHERE starelid = (SELECT indrelid FROM pg_index WHERE indrelid >= 16384)";

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn names_outside_utf8_are_carried_if_a_dump_can_have_them_and_named_if_not() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").initdb("--locale=C --encoding=UTF8");
        let orders = orders.ready().await?;
        orders.sql("postgres", DATABASE).await?;
        orders.sql("bytes", OBJECTS).await?;
        let in_bytes =
            async |query: &str| Ok::<_, anyhow::Error>(orders.sql("bytes", query).await?.concat().concat());
        let file = in_bytes(FILE).await?;

        let refused = ns.upgrade("refused").database("orders").to("17.11").create().await?;
        let (reason, message) = refused.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        let role = message.lines().find(|line| line.starts_with("[role-name] "));
        let role = role.with_context(|| format!("the role is not found:\n{message}"))?;
        ensure!(role.ends_with(": b\\366se_role"), "{role}");
        ensure!(orders.server_version().await? == "13.16", "the server was upgraded");

        orders.sql("bytes", RENAME).await?;
        let upgrade = ns.upgrade("renamed").database("orders").to("17.11").create().await?;
        // The indexes are rebuilt and the tables analyzed too.
        ensure_request_is_complete(&upgrade.wait_successful().await?, UpgradeKind::Major)?;
        ensure!(in_bytes(OWNER).await? == "clerk", "the table has another owner");
        ensure!(in_bytes(FILE).await? != file, "the index was not rebuilt");
        ensure!(in_bytes(FOUND_BY_INDEX).await? == "1000", "the index misses rows");
        ensure!(in_bytes(STATISTICS).await? == "1", "the table was not analyzed");
        let report = upgrade.report("report").await?;
        let duty = report.lines().find(|line| line.contains("note: indexes by functions with EXTRACT"));
        let duty = duty.with_context(|| format!("the preflight should announce it:\n{report}"))?;
        ensure!(
            duty.contains("\"public\".\"b\u{fffd}se_seconds (OID ") && duty.ends_with(" in \"bytes\""),
            "{duty}"
        );
        Ok(())
    })
    .await
}
