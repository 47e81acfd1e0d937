//! Commands by which pages of documentation have an operator change a database by hand: they are run as they are written.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use pgops_api::names::ANNOTATION_TRANSFER_MODE;
use pgops_e2e::{DataSet, Database, Namespace, assert_upgraded, with_namespace};
use regex::{NoExpand, Regex};
use tokio::process::Command;

const OLD_DATA: &str = include_str!("../../../../docs/how-to/use-old-data.md");
const RUNBOOK: &str = include_str!("../../../../docs/runbook.md");
const TIMEOUT: Duration = Duration::from_mins(3);

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn documented_commands_return_to_the_old_data() -> anyhow::Result<()> {
    let delete = commands(OLD_DATA, "Delete it now")?;
    let set_version = commands(RUNBOOK, "Set `spec.version` by hand")?;
    let steps = commands(OLD_DATA, "Return to it")?;
    let [activate, give_version, clean_up] = steps.as_slice() else {
        bail!("the section has other steps: {steps:?}");
    };
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let before = orders.fingerprint().await?;
        let upgrade = async |name: &str| {
            let request = ns.upgrade(name).database("orders").to("17.11");
            let request = request.annotation(ANNOTATION_TRANSFER_MODE, "copy").create().await?;
            assert_upgraded(&orders, &request, &before).await
        };
        upgrade("first").await?;
        for commands in [activate, &set_version[0], give_version] {
            run(ns, commands).await?;
        }
        wait_for_version(&orders, "13.16").await?;
        before.ensure_same(&orders.fingerprint().await?)?;

        run(ns, clean_up).await?;
        orders.wait_ready().await?;
        upgrade("second").await?;
        run(ns, delete[0]).await?;
        wait_until_deleted(&orders).await
    })
    .await
}

/// What the blocks of a page's section contain, in order.
fn commands<'a>(page: &'a str, heading: &str) -> anyhow::Result<Vec<&'a str>> {
    let section = page.split_once(&format!("\n## {heading}\n"));
    let (_, section) = section.with_context(|| format!("there is no section {heading}"))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    // Text and blocks take turns.
    let blocks: Vec<_> = section.split("```").skip(1).step_by(2).collect();
    ensure!(!blocks.is_empty(), "the section {heading} has no commands");
    Ok(blocks)
}

/// Runs commands for the database `orders`, whose versions are 13.16 and 17.11.
async fn run(ns: &Namespace, commands: &str) -> anyhow::Result<()> {
    let image = ns.cluster().catalog_entry("13.16").await?.spec.db.image;
    let mut script = commands.to_owned();
    for (placeholder, value) in [
        ("OLD-IMAGE", image.as_str()),
        ("OLD", "13"),
        ("NEW", "17"),
        ("TARGET", "13.16"),
        ("NS", ns.name()),
        ("DB", "orders"),
    ] {
        let placeholder = Regex::new(&format!(r"\b{placeholder}\b"))?;
        script = placeholder.replace_all(&script, NoExpand(value)).into_owned();
    }
    let mut shell = Command::new("sh");
    shell.args(["-ec", &script]).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = shell.output().await.context("failed to run a shell")?;
    ensure!(output.status.success(), "{script}failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The server is replaced meanwhile.
async fn wait_for_version(orders: &Database, version: &str) -> anyhow::Result<()> {
    let serves = async {
        while orders.server_version().await.ok().as_deref() != Some(version) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, serves).await.with_context(|| format!("{version} does not serve"))?;
    orders.wait_ready().await.map(drop)
}

/// Waits until the volume has no data of 13.
async fn wait_until_deleted(orders: &Database) -> anyhow::Result<()> {
    let deleted = async {
        let old = "SELECT count(*) FROM pg_ls_dir('/var/pv') AS name WHERE name = '13'";
        while orders.value(old).await? != "0" {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(TIMEOUT, deleted).await.context("the old data was not deleted")?
}
