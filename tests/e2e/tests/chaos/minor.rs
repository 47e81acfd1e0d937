//! Minor upgrades that are killed at each record of the journal, which is in the request's report.

use super::*;
use pgops_api::plan::UpgradeKind;
use rstest::rstest;

/// Upgrades that share the records of the journal.
const UPGRADES: usize = 6;

#[rstest]
#[tokio::test]
async fn killed_at_each_record(#[values(0, 1, 2, 3, 4, 5)] upgrade: usize) -> anyhow::Result<()> {
    let steps = Step::sequence(UpgradeKind::Minor).iter();
    let records =
        steps.flat_map(|step| [Event::Started, Event::Succeeded].map(|mark| KillPoint::Record(*step, mark)));
    let kills = in_turn(records.skip(upgrade).step_by(UPGRADES), Victim::Runner);
    with_namespace(async |ns| {
        let orders = orders(ns, "13.16").await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("up").database("orders").to("13.23").create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        for kill in &kills {
            observer.kill(*kill).await?;
        }
        assert_upgraded(&orders, &upgrade, &before).await?;
        observer.assert_done_once(kills.len()).await
    })
    .await
}
