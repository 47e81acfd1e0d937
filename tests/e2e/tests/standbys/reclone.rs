//! Standbys that are cloned again.

use std::time::Duration;

use anyhow::ensure;
use pgops_e2e::{Database, eventually, with_namespace};

use crate::scenario::{SOON, three_servers};

/// The time for which a standby must not have followed (`instance/src/reclone/decision.rs`), and that of a clone.
const PATIENCE: Duration = Duration::from_mins(15);

/// Asks Patroni of the pod for a clone, as the instance does: with the certificate of the members.
const ASK: &str = "import urllib3
directory = '/etc/pgops-ha/'
pool = urllib3.HTTPSConnectionPool('localhost', 8010, cert_file=directory + 'tls.crt',
    key_file=directory + 'tls.key', ca_certs=directory + 'ca.crt')
print(pool.request('POST', '/reinitialize').data.decode())";

/// The server is killed, and cannot start again.
const DAMAGE: &str =
    "data=/var/pv/17/data; pid=$(head -n 1 $data/postmaster.pid); rm $data/global/pg_control; kill -9 $pid";

async fn run(orders: &Database, pod: &str, command: &[&str]) -> anyhow::Result<String> {
    let exec = ["exec", pod, "--container", "postgres", "--"];
    let arguments: Vec<_> = exec.iter().chain(command).copied().collect();
    Ok(orders.namespace().kubectl(&arguments, None).await?.succeeded()?.stdout)
}

async fn shell(orders: &Database, pod: &str, script: &str) -> anyhow::Result<String> {
    run(orders, pod, &["sh", "-c", script]).await
}

/// A standby whose data has a file that no other server has.
async fn marked_standby(orders: &Database) -> anyhow::Result<String> {
    let pod = orders.standbys().await?.swap_remove(0);
    shell(orders, &pod, "touch /var/pv/17/data/marked").await?;
    Ok(pod)
}

async fn ensure_only_data(orders: &Database, pod: &str) -> anyhow::Result<()> {
    let found = shell(orders, pod, "ls /var/pv/17").await?;
    ensure!(found.trim() == "data", "the volume has {found}");
    let marks = shell(orders, pod, "ls /var/pv/17/data").await?;
    ensure!(!marks.lines().any(|name| name == "marked"), "it was not cloned");
    Ok(())
}

#[tokio::test]
async fn standby_is_cloned_again_by_hand_and_keeps_no_old_data() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = three_servers(ns).await?;
        let pod = marked_standby(&orders).await?;
        eventually("a clone", SOON * 2, async || {
            // Until two looks of the instance have seen that another server leads, the clone is refused and the data stays.
            let marked = shell(&orders, &pod, "ls /var/pv/17/data/marked").await;
            if marked.is_ok() {
                run(&orders, &pod, &["/pgops/ha/bin/python3", "-c", ASK]).await?;
            }
            ensure_only_data(&orders, &pod).await
        })
        .await?;
        orders.wait_streaming().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn damaged_standby_is_cloned_again_by_itself() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = three_servers(ns).await?;
        let pod = marked_standby(&orders).await?;
        shell(&orders, &pod, DAMAGE).await?;
        eventually("a clone", PATIENCE, async || ensure_only_data(&orders, &pod).await).await?;
        orders.wait_streaming().await?;
        Ok(())
    })
    .await
}
