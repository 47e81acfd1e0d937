//! What the image computes and the database stores: if the new image answers otherwise, indexes are rebuilt after the outage, and the
//! rest is named before it.

use anyhow::{Context, ensure};
use pgops_api::plan::Step;
use pgops_e2e::{Database, UpgradeRequest, assert_step_given_up, assert_upgraded, with_namespace};

/// A rebuilt index gets a new OID; `pg_upgrade` preserves the OIDs of all others.
const OIDS: &str = "SELECT relname, oid FROM pg_class WHERE relkind = 'i' AND oid >= 16384 ORDER BY 1";

/// Names of the indexes whose OID has changed.
async fn rebuilt(database: &Database, before: &[Vec<String>]) -> anyhow::Result<Vec<String>> {
    let after = database.sql("postgres", OIDS).await?;
    ensure!(after.len() == before.len(), "indexes: {after:?}");
    Ok(after.into_iter().filter(|row| !before.contains(row)).map(|row| row[0].clone()).collect())
}

/// The note of that id in the report.
async fn note(upgrade: &UpgradeRequest, id: &str) -> anyhow::Result<String> {
    let report = upgrade.report("report").await?;
    let begin = format!("[{id}] note: ");
    let line = report.lines().find(|line| line.contains(&begin));
    line.map(ToOwned::to_owned).with_context(|| format!("no note {id} in:\n{report}"))
}

fn ensure_contains(text: &str, parts: &[&str]) -> anyhow::Result<()> {
    for part in parts {
        ensure!(text.contains(part), "{part:?} should be in: {text}");
    }
    Ok(())
}

/// The default locale of pgops has no version. In it Debian 11 sorts U+1D400 before `A`.
const SORTED_FIRST: &str = "SELECT (chr(119808) < 'A')::int";

#[tokio::test]
async fn indexes_in_the_default_locale_are_rebuilt_if_the_library_sorts_differently() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let table = "CREATE TABLE words (w text PRIMARY KEY, n int, c text COLLATE \"C\");
            INSERT INTO words SELECT chr(n), n, chr(n) FROM unnest(ARRAY[65, 66, 90, 228, 119808, 128512]) AS n;
            CREATE INDEX words_n ON words (n); CREATE INDEX words_c ON words (c)";
        orders.sql("postgres", table).await?;
        ensure!(orders.value(SORTED_FIRST).await? == "1", "the old image sorts as the new one: the test shows nothing");
        let before = orders.fingerprint().await?;
        let oids = orders.sql("postgres", OIDS).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        // Checks every B-tree index against its table.
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure!(orders.value(SORTED_FIRST).await? == "0", "the new image sorts as the old one");
        let rebuilt = rebuilt(&orders, &oids).await?;
        ensure!(rebuilt == ["words_pkey"], "rebuilt: {rebuilt:?}");
        let parts = ["1 of database \"postgres\"", "the default of postgres (sorts differently)"];
        ensure_contains(&note(&upgrade, "rules-of-text").await?, &parts)
    })
    .await
}

/// Each row is where it belongs in the old order.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn rows_that_the_library_sorts_differently_are_named_in_partitions_and_inheriting_tables()
-> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let tables = "CREATE TABLE parts (w text) PARTITION BY RANGE (w);
            CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('A');
            CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM ('A') TO (MAXVALUE);
            INSERT INTO parts VALUES (chr(119808)), ('B');
            CREATE TABLE base (w text);
            CREATE TABLE base_low (CHECK (w < 'A')) INHERITS (base);
            CREATE TABLE base_high (CHECK (w >= 'A')) INHERITS (base);
            INSERT INTO base_low VALUES (chr(119808)); INSERT INTO base_high VALUES ('B')";
        orders.sql("postgres", tables).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let request = upgrade.wait_successful().await?;
        let parts = [
            "1 rows of public.parts_low belong to another partition of public.parts now",
            "1 rows of public.base_low violate CHECK constraints now, so that queries of public.base miss them",
        ];
        assert_step_given_up(&request, Step::RebuildIndexes, &parts)?;
        let named = note(&upgrade, "partitions-by-text").await?;
        ensure_contains(&named, &["public.base, public.parts of database \"postgres\""])?;
        let found = "SELECT count(*) FROM base WHERE w = chr(119808)";
        ensure!(orders.value(found).await? == "0", "queries find the row: the test shows nothing");
        let found = format!("SET constraint_exclusion = off; {found}");
        ensure!(orders.sql("postgres", &found).await?.concat() == ["1"], "the reported remedy does not help");
        Ok(())
    })
    .await
}

/// Since March 2025 the time zone database knows that Paraguay keeps its summer time. Each major version has other rules for accents,
/// and OpenSSL 3 has few old algorithms.
#[tokio::test]
async fn results_of_time_zones_dictionaries_and_ciphers_of_the_old_image_are_found() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let statements = "CREATE EXTENSION unaccent; CREATE EXTENSION pgcrypto;
            CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT public.unaccent('public.unaccent', $1) $$;
            CREATE FUNCTION secret(text) RETURNS bytea LANGUAGE sql AS $$ SELECT public.encrypt($1::bytea, 'key', 'bf') $$;
            CREATE FUNCTION local_day(timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS
                $$ SELECT ($1 AT TIME ZONE 'America/Asuncion')::date $$;
            CREATE TABLE visits (n int PRIMARY KEY, seen timestamptz, w text COLLATE \"C\",
                day date GENERATED ALWAYS AS ((seen AT TIME ZONE 'America/Asuncion')::date) STORED);
            INSERT INTO visits VALUES (1, '2025-06-01 03:30+00', chr(177));
            CREATE INDEX visits_asuncion ON visits (((seen AT TIME ZONE 'America/Asuncion')::date));
            CREATE INDEX visits_berlin ON visits (((seen AT TIME ZONE 'Europe/Berlin')::date));
            CREATE INDEX visits_local ON visits (local_day(seen));
            CREATE INDEX visits_plain ON visits (plain(w)); CREATE INDEX visits_w ON visits (w)";
        orders.sql("postgres", statements).await?;
        orders.sql("postgres", "ALTER DATABASE postgres SET enable_seqscan = off").await?;
        let on = "SELECT count(*) FROM visits WHERE (seen AT TIME ZONE 'America/Asuncion')::date = '2025-06-01'";
        ensure!(orders.value(on).await? == "0", "the old image has the new rules: the test shows nothing");
        let before = orders.fingerprint().await?;
        let oids = orders.sql("postgres", OIDS).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure!(orders.value(on).await? == "1", "the index has the previous local time");
        let rebuilt = rebuilt(&orders, &oids).await?;
        ensure!(rebuilt == ["visits_asuncion", "visits_local", "visits_plain"], "rebuilt: {rebuilt:?}");
        let indexes = note(&upgrade, "rules-of-text").await?;
        ensure_contains(&indexes, &["public.unaccent", "rules of the time zones America/Asuncion"])?;
        let stored = note(&upgrade, "stored-results").await?;
        ensure_contains(&stored, &["the column day of public.visits is generated by rules of text or time"])?;
        let parts = ["encrypt and decrypt with bf, des", "md4", "\"postgres\"", "public.secret(text)"];
        ensure_contains(&note(&upgrade, "pgcrypto-algorithm").await?, &parts)
    })
    .await
}

/// 18 reduces "added" to "add", and before it was "ad".
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn words_that_18_reduces_to_other_stems_are_found() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        let statements = "CREATE TABLE words (n int PRIMARY KEY, body text, found tsvector);
            INSERT INTO words VALUES (1, 'added', to_tsvector('english', 'added'));
            CREATE INDEX words_english ON words USING gin (to_tsvector('english', body))";
        orders.sql("postgres", statements).await?;
        orders.sql("postgres", "ALTER DATABASE postgres SET enable_seqscan = off").await?;
        let stem = "SELECT ts_lexize('english_stem', 'added')::text";
        let hits =
            "SELECT count(*) FROM words WHERE to_tsvector('english', body) @@ to_tsquery('english', 'added')";
        let (old_stem, before) = (orders.value(stem).await?, orders.fingerprint().await?);
        let oids = orders.sql("postgres", OIDS).await?;
        let upgrade = ns.upgrade("orders-18").database("orders").to("18.6").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure!(orders.value(stem).await? != old_stem, "18 has the same stem: the test shows nothing");
        ensure!(orders.value(hits).await? == "1", "the index still has the previous stems");
        let rebuilt = rebuilt(&orders, &oids).await?;
        ensure!(rebuilt == ["words_english"], "rebuilt: {rebuilt:?}");
        ensure_contains(&note(&upgrade, "rules-of-text").await?, &["pg_catalog.english_stem"])?;
        let stored = note(&upgrade, "stored-results").await?;
        ensure_contains(&stored, &["the column found of public.words stores tsvector values"])
    })
    .await
}

/// With the system's search path `=` compares text: a rebuilt index would have the first row only.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn index_that_needs_a_search_path_is_named_and_not_rebuilt() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let statements = "CREATE EXTENSION citext;
            CREATE FUNCTION is_open(citext) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1 = 'open' $$;
            CREATE TABLE items (state citext, w text); INSERT INTO items VALUES ('open', 'a'), ('OPEN', 'b');
            CREATE INDEX items_open ON items (w) WHERE is_open(state); CREATE INDEX items_w ON items (w)";
        orders.sql("postgres", statements).await?;
        let oids = orders.sql("postgres", OIDS).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let request = upgrade.wait_successful().await?;
        let named = note(&upgrade, "maintenance-search-path").await?;
        ensure_contains(&named, &["public.is_open(public.citext) (names =; used by public.items_open)"])?;
        let parts = ["items_open", "were not rebuilt", "ALTER FUNCTION … SET search_path"];
        assert_step_given_up(&request, Step::RebuildIndexes, &parts)?;
        let rebuilt_before = rebuilt(&orders, &oids).await?;
        ensure!(rebuilt_before == ["items_w"], "rebuilt: {rebuilt_before:?}");
        let remedy = "ALTER FUNCTION is_open(citext) SET search_path = public; REINDEX INDEX items_open";
        orders.sql("postgres", remedy).await?;
        let indexed = "SELECT reltuples FROM pg_class WHERE relname = 'items_open'";
        ensure!(orders.value(indexed).await? == "2", "the reported remedy does not help");
        Ok(())
    })
    .await
}
