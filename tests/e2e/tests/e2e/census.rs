//! What a dump leaves out is found before the outage, and what the catalogs hold is compared after it.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use pgops_api::names;
use pgops_e2e::{DataSet, assert_untouched, assert_upgraded, with_namespace};

/// What a dump leaves out, and how the finding names it.
const LEFT_OUT: [(&str, &str); 10] = [
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
];

#[tokio::test]
async fn objects_that_a_dump_leaves_out_are_refused_by_name() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        for (create, _) in LEFT_OUT {
            orders.sql("postgres", create).await?;
        }
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
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

/// Grants and comments on what is built in, and settings of databases, are in a dump.
#[tokio::test]
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
        let report: ConfigMap = ns.api().get(&names::report("orders-17")).await?;
        let report = report.data.unwrap_or_default().into_values().collect::<String>();
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
