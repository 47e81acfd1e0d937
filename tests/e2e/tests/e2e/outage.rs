//! The outage that a request reports is the one that its clients see.

use std::time::Duration;

use anyhow::{Context, ensure};
use pgops_api::opsrequest::CONDITION_OUTAGE;
use pgops_api::plan::Step;
use pgops_api::{Condition, PostgresOpsRequest, condition};
use pgops_e2e::probe::Probe;
use pgops_e2e::{wait_for, with_namespace};

/// The reported outage divided by the one that a client saw. A client learns of the end a moment later than the kubelet or
/// earlier, by what an attempt to connect takes.
const ACCURATE: std::ops::RangeInclusive<f64> = 0.7..=1.4;

fn status_outage(request: &PostgresOpsRequest) -> anyhow::Result<&str> {
    let status = request.status.as_ref().context("the request has no status")?;
    status.outage.as_deref().context("status.outage is empty")
}

fn condition(request: &PostgresOpsRequest) -> Option<&Condition> {
    condition::find(&request.status.as_ref()?.conditions, CONDITION_OUTAGE)
}

/// The outage of a request that has ended.
fn reported_seconds(request: &PostgresOpsRequest) -> anyhow::Result<f64> {
    ensure!(
        condition(request).is_some_and(|it| it.status == "False"),
        "the condition of the outage is {:?}",
        condition(request)
    );
    let text = status_outage(request)?;
    let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
    seconds.with_context(|| format!("status.outage is {text:?}"))
}

async fn ensure_accurate(probe: Probe, request: &PostgresOpsRequest) -> anyhow::Result<()> {
    let reported = reported_seconds(request)?;
    #[allow(clippy::cast_precision_loss, reason = "it is less than a day")]
    let seen = probe.stop().await?.longest_gap_milliseconds as f64 / 1000.0;
    eprintln!("outage: reported {reported:.1} s, seen by a client {seen:.1} s");
    let ratio = reported / seen;
    ensure!(
        ACCURATE.contains(&ratio),
        "reported were {reported:.1} s, a client saw {seen:.1} s: ratio {ratio:.2}"
    );
    Ok(())
}

/// The Job is lost during the outage, and an operator resumes the request: the time in between counts, and meanwhile the
/// status says since when no writes are accepted.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn outage_is_counted_while_no_job_runs() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let probe = Probe::start(&orders).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        upgrade.wait_step(Step::PgUpgraded).await?;
        upgrade.expire_job().await?;
        let failed = upgrade.wait_terminal().await?;
        ensure!(
            status_outage(&failed)?.starts_with("since 20"),
            "status.outage: {}",
            status_outage(&failed)?
        );
        ensure!(condition(&failed).is_some_and(Condition::is_true), "the outage has no condition");
        upgrade.resume().await?;
        ensure_accurate(probe, &upgrade.wait_successful().await?).await
    })
    .await
}

/// The worker is killed while the pod is replaced: the next one finds a server that has served since.
#[tokio::test]
async fn outage_of_a_minor_upgrade_whose_worker_is_killed_is_the_one_that_clients_see() -> anyhow::Result<()>
{
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        let probe = Probe::start(&orders).await?;
        let upgrade = ns.upgrade("orders-13").database("orders").to("13.23").create().await?;
        let stops = |found: Option<&PostgresOpsRequest>| found.and_then(condition).is_some();
        wait_for(&ns.api(), upgrade.name(), "an outage", Duration::from_mins(5), stops).await?;
        upgrade.kill_runner().await?;
        ensure_accurate(probe, &upgrade.wait_successful().await?).await
    })
    .await
}
