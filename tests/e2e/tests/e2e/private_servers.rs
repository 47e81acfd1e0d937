//! The servers that an upgrade itself starts take over what they need from the settings of the database.

use anyhow::ensure;
use pgops_e2e::{Database, Namespace, assert_untouched, assert_upgraded, with_namespace};
use serde_json::json;

async fn configured(ns: &Namespace, version: &str, user_conf: &str) -> anyhow::Result<Database> {
    ns.secret("conf", "user.conf", user_conf).await?;
    let orders = ns.postgres("orders").version(version).field("configSecret", json!({"name": "conf"}));
    orders.ready().await
}

/// More than a server with default settings accepts, and more reserved connections than it has.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn private_servers_have_room_for_150_replication_slots() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let settings =
            "max_replication_slots = 200\nmax_connections = 300\nmax_prepared_transactions = 150\n";
        let orders = configured(ns, "13.16", settings).await?;
        let slots =
            "SELECT pg_create_physical_replication_slot('standby_' || n) FROM generate_series(1, 150) n";
        orders.sql("postgres", slots).await?;
        orders.sql("postgres", "ALTER SYSTEM SET superuser_reserved_connections = 150").await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        assert_eq!(orders.value("SHOW superuser_reserved_connections").await?, "150");
        Ok(())
    })
    .await
}

/// The consumer has connected before the setting is narrowed. It catches up when the old server stops.
#[tokio::test]
async fn private_servers_carry_a_slot_whose_plugin_the_setting_does_not_name() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = configured(ns, "17.11", "wal_level = logical\n").await?;
        orders.sql("postgres", "SELECT pg_create_logical_replication_slot('feed', 'test_decoding')").await?;
        orders.consume_slot("postgres", "feed").await?;
        orders.sql("postgres", "ALTER SYSTEM SET output_plugin_libraries = pgoutput").await?;
        orders.sql("postgres", "SELECT pg_reload_conf()").await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-18").database("orders").to("18.6").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        let slots = "SELECT slot_name || ' ' || plugin FROM pg_replication_slots";
        assert_eq!(orders.value(slots).await?, "feed test_decoding");
        Ok(())
    })
    .await
}

/// The plugin is a file that only the old server's pod has.
#[tokio::test]
async fn private_servers_lack_an_output_plugin_and_the_request_is_refused() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let settings = "wal_level = logical\noutput_plugin_libraries = 'pgoutput, \"/tmp/own\"'\n";
        let orders = configured(ns, "17.11", settings).await?;
        let copy = "cp $(dirname $(dirname $(readlink /proc/$PPID/exe)))/lib/test_decoding.so /tmp/own.so";
        orders.sql("postgres", &format!("COPY (SELECT WHERE false) TO PROGRAM '{copy}'")).await?;
        orders.sql("postgres", "SELECT pg_create_logical_replication_slot('feed', '/tmp/own')").await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-18").database("orders").to("18.6").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        let is_named = |line: &str| line.contains("[output-plugin] ") && line.contains("/tmp/own");
        let named = message.lines().find(|line| is_named(line));
        ensure!(named.is_some_and(|line| line.contains("slots feed")), "{message}");
        assert_untouched(&orders, "17.11", &before).await
    })
    .await
}

/// The new image lacks the zone's old name, and the old server reads its own configuration there.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn private_servers_do_not_know_a_time_zone_and_the_request_is_refused() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let zone = "echo timezone = US/Pacific >>/var/pv/13/data/postgresql.conf";
        orders.sql("postgres", &format!("COPY (SELECT WHERE false) TO PROGRAM '{zone}'")).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "unexpected failure: {reason}: {message}");
        let is_named = |line: &str| line.contains("[old-configuration] ") && line.contains("TimeZone");
        ensure!(message.lines().any(is_named), "{message}");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}
