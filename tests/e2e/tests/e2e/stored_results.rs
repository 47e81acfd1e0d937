//! Results that definitions have stored and that the target computes in another way: since 14 EXTRACT returns `numeric`, which as a
//! text has other decimals. The locale is C, so that nothing else is a reason to rebuild an index.

use anyhow::{Context, ensure};
use pgops_e2e::{assert_upgraded, with_namespace};

/// An index, a generated column and a partition key by a function that gives another text then, and an index by one that gives the
/// same number.
const VISITS: &str = "CREATE FUNCTION seconds(moment timestamp) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
        $$ BEGIN RETURN EXTRACT(epoch FROM moment); END $$;
    CREATE FUNCTION exact(moment timestamp) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS
        $$ BEGIN RETURN EXTRACT(epoch FROM moment)::double precision; END $$;
    CREATE TABLE visits (seen timestamp, shown text GENERATED ALWAYS AS (seconds(seen)) STORED);
    CREATE INDEX visits_seconds ON visits (seconds(seen));
    CREATE INDEX visits_exact ON visits (exact(seen));
    CREATE TABLE parts (seen timestamp) PARTITION BY LIST (seconds(seen));
    CREATE TABLE parts_first PARTITION OF parts FOR VALUES IN ('1577836800');
    CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
    INSERT INTO visits SELECT timestamp '2020-01-01' + g * interval '1 day' FROM generate_series(0, 999) AS g;
    INSERT INTO parts SELECT timestamp '2020-01-01' + g * interval '1 day' FROM generate_series(0, 9) AS g";
/// A search for each row by the index.
const FOUND_BY_INDEX: &str = "SET enable_seqscan = off;
    SELECT sum((SELECT count(*) FROM visits WHERE seconds(seen) = seconds(timestamp '2020-01-01' + g * interval '1 day')))
    FROM generate_series(0, 999) AS g";
/// A search that the server prunes to one partition.
const FOUND_BY_KEY: &str = "SELECT count(*) FROM parts WHERE seconds(seen) = seconds('2020-01-01')";
const COMPUTED: &str = "SELECT count(*) FROM visits WHERE shown = seconds(seen)";
/// A rebuilt index gets a new OID; `pg_upgrade` preserves the OIDs of all others.
const OIDS: &str =
    "SELECT relname, oid FROM pg_class WHERE relname ~ '^visits_' AND relkind = 'i' ORDER BY 1";

#[tokio::test]
async fn results_of_extract_are_rebuilt_in_indexes_and_named_elsewhere() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").initdb("--locale=C --encoding=UTF8");
        let orders = orders.ready().await?;
        orders.sql("postgres", VISITS).await?;
        ensure!(orders.value(FOUND_BY_INDEX).await? == "1000", "13.16 does not find its own rows");
        let before = orders.fingerprint().await?;
        let oids = orders.sql("postgres", OIDS).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        // Checks every B-tree index against its table.
        assert_upgraded(&orders, &upgrade, &before).await?;

        let after = orders.sql("postgres", OIDS).await?;
        let rebuilt: Vec<_> =
            after.into_iter().filter(|index| !oids.contains(index)).map(|index| index[0].clone()).collect();
        ensure!(rebuilt == ["visits_seconds"], "rebuilt: {rebuilt:?}");
        ensure!(orders.value(FOUND_BY_INDEX).await? == "1000", "the index misses rows");
        let report = upgrade.report("report").await?;
        let duty = report
            .lines()
            .find(|line| line.contains("[release-duty] note: indexes by functions with EXTRACT"));
        let duty = duty.with_context(|| format!("the preflight should announce it:\n{report}"))?;
        ensure!(duty.contains("they are rebuilt after the outage"), "{duty}");
        ensure!(duty.ends_with(": \"public\".\"visits_seconds\" in \"postgres\""), "{duty}");

        let stored = upgrade.note("extract-stored").await?;
        for part in [
            "public.seconds(timestamp without time zone) (used by ",
            "column shown of table public.visits",
            "table public.parts",
        ] {
            ensure!(stored.contains(part), "{part:?} should be in the note: {stored}");
        }
        ensure!(!stored.contains("public.exact"), "its result is the same: {stored}");
        ensure!(orders.value(COMPUTED).await? == "0", "no result has changed: the test shows nothing");
        ensure!(orders.value(FOUND_BY_KEY).await? == "0", "no key has changed: the test shows nothing");
        let remedy =
            "UPDATE visits SET seen = seen; SET enable_partition_pruning = off; UPDATE parts SET seen = seen";
        orders.sql("postgres", remedy).await?;
        ensure!(orders.value(COMPUTED).await? == "1000", "the reported remedy does not help the column");
        ensure!(orders.value(FOUND_BY_KEY).await? == "1", "the reported remedy does not help the partition");
        Ok(())
    })
    .await
}
