//! All extensions through all versions: 13, 15, 17 and 18.

use anyhow::{Context, ensure};
use pgops_e2e::{Database, packaged_extension};

use crate::database::{DBNAME, check, filled, with_extension_images};
use crate::upgrade::{finding, refused, upgraded};

const STORED_EXPRESSION: &str = "[stored-expression] ";

/// What that finding says to do after the upgrade, and before it.
const ADD_ROW_FILTER: &str =
    "SELECT pglogical.replication_set_add_table('orders', 'public.tariffs', row_filter := 'price > 989')";
const REMOVE_ROW_FILTER: &str = "SELECT pglogical.replication_set_remove_table('orders', 'public.tariffs')";

async fn check_row_filter(orders: &Database) -> anyhow::Result<()> {
    let rows =
        "SELECT count(*) FROM pglogical.table_data_filtered(NULL::tariffs, 'tariffs', ARRAY['orders'])";
    let rows = orders.sql(DBNAME, rows).await?.concat();
    ensure!(rows == ["10"], "the row filter leaves {rows:?}");
    Ok(())
}

/// Each refusal is followed by what its finding says, and nothing else.
#[tokio::test]
async fn extensions_of_debian_are_upgraded_from_13_to_15_to_17_to_18() -> anyhow::Result<()> {
    with_extension_images(async |ns| {
        let orders = filled(ns, "13.16").await?;
        check(&orders, "13.16", &[]).await?;
        from_13_to_15(&orders).await.context("from 13.16 to 15.18")?;
        from_15_to_17(&orders).await.context("from 15.18 to 17.11")?;
        from_17_to_18(&orders).await.context("from 17.11 to 18.6")
    })
    .await
}

async fn from_13_to_15(orders: &Database) -> anyhow::Result<()> {
    let repack = "[extension-objects] extension pg_repack ";
    let findings = refused(orders, "to-15-refused", "15.18", &[repack, "[logical-slot] "]).await?;
    let drop = "DROP EXTENSION \"pg_repack\"";
    let text = finding(&findings, repack)?;
    ensure!(text.contains(&format!("{drop} before the upgrade")), "{text}");
    orders.sql(DBNAME, drop).await?;
    orders.sql(DBNAME, "SELECT pg_drop_replication_slot('feed')").await?;
    let left = upgraded(orders, "to-15", "15.18").await?;
    replace(orders, &left, &["hypopg", "pgaudit"]).await?;
    orders.sql(DBNAME, "CREATE EXTENSION pg_repack").await?;
    check(orders, "15.18", &["wal2json"]).await?;
    orders.sql(DBNAME, ADD_ROW_FILTER).await?;
    check_row_filter(orders).await
}

async fn from_15_to_17(orders: &Database) -> anyhow::Result<()> {
    let debversion = "[extension-objects] extension debversion ";
    let findings = refused(orders, "to-17-refused", "17.11", &[debversion, STORED_EXPRESSION]).await?;
    let text = finding(&findings, debversion)?;
    // Its own operators, and the index that cannot be created without its operator class.
    ensure!(text.contains("CREATE INDEX \"packages_by_version\""), "{text}");
    let begin = text.find("UPDATE pg_operator").with_context(|| format!("no statement in {text}"))?;
    let (statement, _) = text[begin..].split_once("; see ").context("the statement has no end")?;
    orders.sql(DBNAME, statement).await?;
    orders.sql(DBNAME, REMOVE_ROW_FILTER).await?;
    let left = upgraded(orders, "to-17", "17.11").await?;
    replace(orders, &left, &["pg_repack", "pgaudit"]).await?;
    ensure!(left.contains("\"pg_partman\"") && left.contains("trigger-based"), "{left}");
    // None of the tables is partitioned by triggers. An event trigger of periods rejects each GRANT on 17, as it does not know
    // the right MAINTAIN.
    orders.sql(DBNAME, "SET event_triggers = off; ALTER EXTENSION pg_partman UPDATE").await?;
    orders.sql(DBNAME, ADD_ROW_FILTER).await?;
    check_row_filter(orders).await?;
    let plugins = "SELECT setting || ', wal2json' FROM pg_settings WHERE name = 'output_plugin_libraries'";
    let plugins = orders.value(plugins).await?;
    orders.sql("postgres", &format!("ALTER SYSTEM SET output_plugin_libraries = {plugins}")).await?;
    orders.sql("postgres", "SELECT pg_reload_conf()").await?;
    for name in ["vector", "wal2json"] {
        packaged_extension(name)?.create(orders, DBNAME).await?;
    }
    check(orders, "17.11", &[]).await
}

async fn from_17_to_18(orders: &Database) -> anyhow::Result<()> {
    orders.consume_slot(DBNAME, "feed").await?;
    // Debian has no periods for 18.
    let periods = "[missing-library] ";
    let findings = refused(orders, "to-18-refused", "18.6", &[periods, STORED_EXPRESSION]).await?;
    let text = finding(&findings, periods)?;
    ensure!(text.contains("/periods") && text.contains("drop the extension"), "{text}");
    orders.sql(DBNAME, "DROP EXTENSION periods CASCADE").await?;
    orders.sql(DBNAME, REMOVE_ROW_FILTER).await?;
    let left = upgraded(orders, "to-18", "18.6").await?;
    replace(orders, &left, &["pg_repack", "pgaudit"]).await?;
    let begin = "ALTER EXTENSION postgis_topology UPDATE; SELECT topology.FixCorruptTopoGeometryColumn(";
    let statements = left.lines().find_map(|line| Some(&line[line.find(begin)?..]));
    let statements = statements.with_context(|| format!("{begin} should be in {left}"))?;
    let end = " FROM topology.layer";
    let length = statements.find(end).context("the statement has no end")? + end.len();
    orders.sql(DBNAME, &statements[..length]).await?;
    check(orders, "18.6", &[]).await
}

/// Does what is said about extensions that no script updates.
async fn replace(orders: &Database, left: &str, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        let statements = format!("DROP EXTENSION \"{name}\"; CREATE EXTENSION \"{name}\"");
        ensure!(left.contains(&statements), "{statements} should be in {left}");
        orders.sql(DBNAME, &statements).await?;
    }
    Ok(())
}
