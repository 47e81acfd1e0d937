//! Upgrades of a database that speaks TLS with a certificate of the user: minor, failed, and major.

use anyhow::ensure;
use pgops_api::names;
use pgops_api::plan::Step;
use pgops_e2e::{
    DataSet, Database, Namespace, UnreadableTable, assert_untouched, assert_upgraded, with_namespace,
};
use serde_json::json;

use super::cert_manager::{self, Authority, Issued};
use super::clients::{ensure_verified, wait_served};
use super::{poke, start_of_server};

const SECRET: &str = "orders-tls";

/// Writes another certificate for the server into the Secret.
async fn renew(ns: &Namespace, authority: &Authority) -> anyhow::Result<Issued> {
    let names = [format!("orders.{}.svc", ns.name())];
    let request = json!({"commonName": "orders", "dnsNames": names, "usages": ["server auth"]});
    let issued = authority.issue(&request)?;
    cert_manager::write(ns, &authority.secret(SECRET, &issued)).await?;
    Ok(issued)
}

/// A database that has the certificate in the Secret. It admits connections without TLS too, which assertions use.
async fn database(ns: &Namespace, version: &str) -> anyhow::Result<Database> {
    let tls = json!({"certificates": [{"alias": "server", "secretName": SECRET}]});
    let orders = ns.postgres("orders").version(version).field("sslMode", json!("prefer")).field("tls", tls);
    orders.filled_with(&[DataSet::Kept]).await
}

#[tokio::test]
async fn minor_upgrade_keeps_tls() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let issued = renew(ns, &Authority::new()?).await?;
        let orders = database(ns, "17.11").await?;
        ensure_verified(ns).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-17-12").database("orders").to("17.12").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure_verified(ns).await?;
        wait_served(ns, &issued).await
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn major_upgrade_keeps_tls_when_it_fails_and_when_the_certificate_is_renewed() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let authority = Authority::new()?;
        let issued = renew(ns, &authority).await?;
        let orders = database(ns, "13.16").await?;
        ensure_verified(ns).await?;
        old_version_serves_tls_after_a_failure(ns, &orders, &issued).await?;
        certificate_that_is_renewed_meanwhile_is_served(ns, &orders, &authority).await
    })
    .await
}

async fn old_version_serves_tls_after_a_failure(
    ns: &Namespace,
    orders: &Database,
    issued: &Issued,
) -> anyhow::Result<()> {
    let table = UnreadableTable::create(orders).await?;
    let before = orders.fingerprint().await?;
    table.close().await?;
    let upgrade = ns.upgrade("failing").database("orders").to("17.11").field("maxRetries", json!(0));
    let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, "copy").create().await?;
    let (reason, message) = upgrade.wait_failed().await?;
    ensure!(message.contains("serves 13.16 again"), "{reason}: {message}");
    orders.wait_ready().await?;
    ensure_verified(ns).await?;
    wait_served(ns, issued).await?;
    table.open().await?;
    assert_untouched(orders, "13.16", &before).await
}

/// Worker and database see another certificate at different times, and both before or after the new server starts.
async fn certificate_that_is_renewed_meanwhile_is_served(
    ns: &Namespace,
    orders: &Database,
    authority: &Authority,
) -> anyhow::Result<()> {
    let before = orders.fingerprint().await?;
    let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
    upgrade.wait_step(Step::PgUpgraded).await?;
    let renewed = renew(ns, authority).await?;
    assert_upgraded(orders, &upgrade, &before).await?;
    let server = start_of_server(ns).await?;
    poke(ns).await?;
    wait_served(ns, &renewed).await?;
    ensure!(start_of_server(ns).await? == server, "the server was restarted for its certificate");
    ensure_verified(ns).await
}
