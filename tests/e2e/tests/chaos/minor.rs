//! Minor upgrades that are killed at each journal record; their journal is in the report.

use pgops_api::plan::{Step, UpgradeKind};
use pgops_e2e::fault_injection::{Event, Kill, KillPoint, UpgradeObserver, Victim};
use pgops_e2e::{assert_upgraded, with_namespace};
use rstest::rstest;

use crate::scenario::{alternating_kills, deliver_all, orders};

/// Number of upgrades among which the journal records are divided.
const UPGRADES: usize = 6;

#[rstest]
#[tokio::test]
async fn minor_upgrade_killed_at_each_record(
    #[values(0, 1, 2, 3, 4, 5)] upgrade: usize,
) -> anyhow::Result<()> {
    let steps = Step::sequence(UpgradeKind::Minor).iter();
    let records =
        steps.flat_map(|step| [Event::Started, Event::Succeeded].map(|mark| KillPoint::Record(*step, mark)));
    let kills = alternating_kills(records.skip(upgrade).step_by(UPGRADES), Victim::Runner);
    deliver_all(&kills, upgrade_with_kills).await
}

/// Returns the kills that came too late.
async fn upgrade_with_kills(kills: &[Kill]) -> anyhow::Result<Vec<Kill>> {
    let mut missed = Vec::new();
    with_namespace(async |ns| {
        let orders = orders(ns, "13.16").await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("up").database("orders").to("13.23").create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        missed = observer.kill_each(kills).await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        observer.assert_done_once(kills.len() - missed.len()).await
    })
    .await?;
    Ok(missed)
}
