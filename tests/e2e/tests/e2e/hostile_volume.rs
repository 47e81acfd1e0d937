//! What a superuser of a database leaves on its volume leads no worker elsewhere, and does not block one.

use anyhow::ensure;
use pgops_api::names;
use pgops_e2e::{Database, Namespace, assert_untouched, with_namespace};

/// Runs a command in the database's container, as any superuser of the database can.
async fn run(database: &Database, script: &str) -> anyhow::Result<()> {
    database
        .sql("postgres", &format!("COPY (SELECT WHERE false) TO PROGRAM $script${script}$script$"))
        .await?;
    Ok(())
}

/// A dry run of an upgrade to 17, which fails in the preflight; returns why.
async fn refused(ns: &Namespace, name: &str) -> anyhow::Result<String> {
    let upgrade = ns.upgrade(name).database("orders").to("17.11");
    let upgrade = upgrade.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
    let (reason, message) = upgrade.wait_failed().await?;
    ensure!(reason == "PreflightFailed", "{reason}: {message}");
    Ok(message)
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn kubeconfig_on_the_volume_is_ignored() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let kubeconfig = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": "http://203.0.113.1"}}], "users": [{"name": "x"}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}"#;
        run(&orders, &format!("mkdir /var/pv/.kube && echo '{kubeconfig}' > /var/pv/.kube/config")).await?;
        ns.upgrade("orders-17").database("orders").to("17.11").create().await?.wait_successful().await?;
        ensure!(orders.server_version().await? == "17.11");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn links_and_fifos_on_the_volume_are_refused_before_the_outage() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let before = orders.fingerprint().await?;
        let conf = "/var/pv/13/data/postgresql.auto.conf";
        // The link would show a file of the worker in the error of the target's server; the FIFO would block for ever.
        for (name, make, refusal) in [
            ("link", format!("mv {conf} {conf}.kept && ln -s /etc/passwd {conf}"), "is a symbolic link"),
            ("fifo", format!("mv {conf} {conf}.kept && mkfifo {conf}"), "is a FIFO"),
            ("large", format!("mv {conf} {conf}.kept && truncate -s 1T {conf}"), "is larger than"),
        ] {
            run(&orders, &make).await?;
            let message = refused(ns, name).await?;
            run(&orders, &format!("mv -f {conf}.kept {conf}")).await?;
            ensure!(
                message.contains("postgresql.auto.conf") && message.contains(refusal),
                "{name}: {message}"
            );
        }
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

/// The worker of a minor upgrade has no volume to look at first: only the server can be asked.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn minor_upgrade_does_not_wait_for_a_server_that_waits_for_a_fifo() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let before = orders.fingerprint().await?;
        let conf = "/var/pv/13/data/postgresql.auto.conf";
        run(&orders, &format!("mv {conf} {conf}.kept && mkfifo {conf}")).await?;
        let upgrade = ns.upgrade("orders-13-23").database("orders").to("13.23").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        // The session that the server holds ends with it.
        run(&orders, &format!(": > {conf}; mv -f {conf}.kept {conf}")).await?;
        ensure!(reason == "PreflightFailed", "{reason}: {message}");
        ensure!(message.contains("[configuration] ") && message.contains("FIFO"), "{message}");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn data_directory_behind_a_link_is_refused_before_the_outage() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let before = orders.fingerprint().await?;
        // The server has its directory open already.
        run(&orders, "cd /var/pv/13 && mv data elsewhere && ln -s elsewhere data").await?;
        let message = refused(ns, "behind-a-link").await?;
        run(&orders, "cd /var/pv/13 && rm data && mv elsewhere data").await?;
        ensure!(message.contains("volume-layout") && message.contains("symbolic link"), "{message}");
        assert_untouched(&orders, "13.16", &before).await
    })
    .await
}
