//! What a dump leaves out is found before the outage, and what the catalogs hold is compared after it.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use pgops_api::names;
use pgops_e2e::{DataSet, assert_untouched, assert_upgraded, with_namespace};

/// What a dump leaves out, and how the finding names it.
const LEFT_OUT: [(&str, &str); 13] = [
    (
        "CREATE FUNCTION pg_catalog.lost(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "pg_catalog.lost(integer)",
    ),
    (
        "CREATE TABLE information_schema.audit (id int PRIMARY KEY)",
        "information_schema.audit in \"postgres\"",
    ),
    ("CREATE DOMAIN pg_catalog.code AS text", "pg_catalog.code"),
    ("ALTER FUNCTION pg_catalog.sind(float8) COST 77", "pg_catalog.sind(double precision)"),
    (
        "ALTER TEXT SEARCH DICTIONARY pg_catalog.english_stem (StopWords = 'german')",
        "pg_catalog.english_stem",
    ),
    (
        "ALTER TEXT SEARCH CONFIGURATION pg_catalog.english ALTER MAPPING FOR asciiword WITH simple",
        "pg_catalog.english, token type 1",
    ),
    (
        "CREATE OR REPLACE VIEW information_schema.enabled_roles AS SELECT 'x'::information_schema.sql_identifier AS role_name",
        "enabled_roles",
    ),
    (
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (p int REFERENCES parent); \
         ALTER TABLE child DISABLE TRIGGER ALL",
        "child_p_fkey on public.child",
    ),
    (
        "CREATE SCHEMA binary_upgrade; CREATE TABLE binary_upgrade.kept AS SELECT 1 AS a",
        "binary_upgrade.kept in \"postgres\"",
    ),
    ("CREATE COLLATION pg_catalog.mine (provider = icu, locale = 'de')", "pg_catalog.mine"),
    (
        "UPDATE pg_cast SET castcontext = 'i' WHERE castsource = 'float8'::regtype AND casttarget = 'int4'::regtype",
        "(double precision AS integer) (changed: castcontext)",
    ),
    (
        "REVOKE SELECT ON information_schema.tables FROM PUBLIC",
        "information_schema.tables: revoked SELECT from PUBLIC",
    ),
    ("REVOKE USAGE ON LANGUAGE sql FROM PUBLIC", "sql: revoked USAGE from PUBLIC"),
];

/// What can be dropped of what is built in, and how the note names it.
const DROPPED: [(&str, &str); 3] = [
    ("DROP VIEW information_schema.user_mappings", "view information_schema.user_mappings in \"postgres\""),
    ("DROP VIEW pg_catalog.pg_stat_ssl", "view pg_catalog.pg_stat_ssl"),
    (
        "ALTER TEXT SEARCH CONFIGURATION pg_catalog.german DROP MAPPING FOR asciiword",
        "text search configuration pg_catalog.german",
    ),
];

/// Changes of what is built in that have been undone.
const WITHOUT_EFFECT: [&str; 4] = [
    "ALTER FUNCTION pg_catalog.cosd(float8) COST 77; ALTER FUNCTION pg_catalog.cosd(float8) COST 1",
    "GRANT EXECUTE ON FUNCTION pg_catalog.tand(float8) TO PUBLIC",
    "REVOKE EXECUTE ON FUNCTION pg_catalog.upper(text) FROM PUBLIC; GRANT EXECUTE ON FUNCTION pg_catalog.upper(text) TO PUBLIC",
    "ALTER TEXT SEARCH CONFIGURATION pg_catalog.french ALTER MAPPING FOR asciiword WITH simple; \
     ALTER TEXT SEARCH CONFIGURATION pg_catalog.french ALTER MAPPING FOR asciiword WITH french_stem",
];

#[tokio::test]
async fn objects_that_a_dump_leaves_out_are_refused_by_name() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        for (create, _) in LEFT_OUT {
            orders.sql("postgres", create).await?;
        }
        for drop in DROPPED.iter().map(|(drop, _)| drop).chain(&WITHOUT_EFFECT) {
            orders.sql("postgres", drop).await?;
        }
        orders.sql("postgres", "CREATE DATABASE bare").await?;
        orders.sql("bare", "DROP SCHEMA public").await?;
        orders.sql("postgres", "COMMENT ON FUNCTION pg_catalog.now() IS 'mine'").await?;
        orders.sql("postgres", "SELECT pg_replication_origin_create('feed')").await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "{reason}: {message}");
        for (create, named) in LEFT_OUT {
            ensure!(message.contains(named), "{create}: {named:?} should be in: {message}");
        }
        for told in ["function pg_catalog.now()", "feed"] {
            let notes = message.lines().filter(|line| line.starts_with("[not-carried] note: "));
            ensure!(notes.clone().any(|line| line.contains(told)), "no note names {told:?}: {message}");
        }
        for dropped in DROPPED.map(|(_, named)| named).iter().chain(&["schema public in \"bare\""]) {
            let mut notes = message.lines().filter(|line| line.starts_with("[built-in-dropped] note: "));
            ensure!(notes.any(|line| line.contains(dropped)), "no note names {dropped:?}: {message}");
        }
        for unchanged in ["cosd(", "tand(", "upper(", "french"] {
            ensure!(!message.contains(unchanged), "{unchanged:?} has not changed: {message}");
        }
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

/// Grants and comments on what is built in, and settings of databases, are in a dump.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn changes_of_built_in_objects_that_a_dump_has_are_carried() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Everything]).await?;
        let changes = "CREATE ROLE census_reader; GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO census_reader; \
            GRANT SELECT ON pg_catalog.pg_authid TO census_reader; REVOKE EXECUTE ON FUNCTION pg_catalog.sind(float8) FROM PUBLIC; \
            GRANT SELECT (rolname) ON pg_catalog.pg_authid TO census_reader; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
            COMMENT ON SCHEMA public IS 'ours'; ALTER DATABASE postgres SET work_mem = '5MB'; \
            ALTER DATABASE postgres CONNECTION LIMIT 90";
        orders.sql("postgres", changes).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        let report = upgrade.whole_report().await?;
        for part in ["objects and details of", "the new server's catalogs hold all"] {
            ensure!(report.contains(part), "the report should say {part:?}: {report}");
        }
        let grants = "SELECT (has_function_privilege('census_reader', 'pg_read_file(text)', 'execute') \
            AND has_table_privilege('census_reader', 'pg_authid', 'select') \
            AND NOT has_function_privilege('census_reader', 'sind(float8)', 'execute'))::text";
        ensure!(orders.value(grants).await? == "true", "the grants are lost");
        Ok(())
    })
    .await
}

/// What a restore writes in another way is not reported as lost or changed.
#[rstest::rstest]
#[case("17.11")]
#[case("18.6")]
#[tokio::test]
async fn every_kind_of_definition_is_found_in_the_rehearsal(#[case] version: &str) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.postgres("orders").version("15.20").filled_with(&[DataSet::Definitions]).await?;
        let check = ns.upgrade("check").database("orders").to(version);
        let check = check.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
        check.wait_successful().await?;
        let report = check.whole_report().await?;
        ensure!(report.contains("objects and details of"), "nothing was compared: {report}");
        for id in ["[not-carried]", "[built-in-dropped]", "[catalog-not-compared]"] {
            ensure!(!report.contains(id), "{id}: {report}");
        }
        Ok(())
    })
    .await
}

/// The columns that the census knows in a major version.
fn known(major: u32) -> anyhow::Result<BTreeSet<String>> {
    let data = include_str!("../../../../runner/src/postgres/census/columns.tsv");
    let mut known = BTreeSet::new();
    for line in data.lines().filter(|line| !line.starts_with('#')) {
        let [catalog, column, majors, ..] = line.split('\t').collect::<Vec<_>>()[..] else {
            anyhow::bail!("not a column: {line}");
        };
        let (first, last) = majors.split_once('-').with_context(|| format!("not majors: {line}"))?;
        if (first.parse::<u32>()?..=last.parse()?).contains(&major) {
            known.insert(format!("{catalog}.{column}"));
        }
    }
    Ok(known)
}

/// The objects that a new server of a major version has, of those that can be dropped.
fn droppable(major: u32) -> anyhow::Result<BTreeSet<String>> {
    let data = include_str!("../../../../runner/src/postgres/census/droppable.tsv");
    let mut objects = BTreeSet::new();
    for line in data.lines().filter(|line| !line.starts_with('#')) {
        let (object, majors) = line.split_once('\t').with_context(|| format!("not an object: {line}"))?;
        let (first, last) = majors.split_once('-').with_context(|| format!("not majors: {line}"))?;
        if (first.parse::<u32>()?..=last.parse()?).contains(&major) {
            objects.insert(object.to_owned());
        }
    }
    Ok(objects)
}

/// Views are named alike by the runner's query, which has the other kinds too.
#[rstest::rstest]
#[case("13.16", 13)]
#[case("15.20", 15)]
#[case("17.11", 17)]
#[case("18.6", 18)]
#[tokio::test]
async fn census_knows_every_system_view(#[case] version: &str, #[case] major: u32) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version(version).ready().await?;
        let views = "SELECT format('view \"%s\".\"%s\"', n.nspname, c.relname) FROM pg_class c \
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND c.oid < 16384";
        let found: BTreeSet<_> = orders.sql("postgres", views).await?.into_iter().flatten().collect();
        let known: BTreeSet<_> =
            droppable(major)?.into_iter().filter(|object| object.starts_with("view ")).collect();
        let missing: Vec<_> = found.difference(&known).collect();
        let gone: Vec<_> = known.difference(&found).collect();
        ensure!(
            missing.is_empty() && gone.is_empty(),
            "not in droppable.tsv: {missing:?}; only there: {gone:?}"
        );
        Ok(())
    })
    .await
}

#[rstest::rstest]
#[case("13.16", 13)]
#[case("15.20", 15)]
#[case("17.11", 17)]
#[case("18.6", 18)]
#[tokio::test]
async fn census_knows_every_column_of_the_system_catalogs(
    #[case] version: &str,
    #[case] major: u32,
) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version(version).ready().await?;
        let columns = "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
            WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND a.attnum > 0";
        let found: BTreeSet<_> = orders.sql("postgres", columns).await?.into_iter().flatten().collect();
        let known = known(major)?;
        let missing: Vec<_> = found.difference(&known).collect();
        let gone: Vec<_> = known.difference(&found).collect();
        ensure!(missing.is_empty() && gone.is_empty(), "not in columns.tsv: {missing:?}; only there: {gone:?}");
        Ok(())
    })
    .await
}
