//! The node of a database and of the worker is drained during an upgrade, which resumes on the other node.

use pgops_api::plan::Step;
use pgops_e2e::fault_injection::{Event, KillPoint, UpgradeObserver};
use pgops_e2e::second_node::{FIRST_NODE, SECOND_NODE, SecondNode};
use pgops_e2e::{assert_upgraded, counts, with_namespace};
use rstest::rstest;

use crate::scenario::{database_on_second_node, ensure_on, start_upgrade, wait_reason};

#[rstest]
#[case::while_the_database_serves(KillPoint::Record(Step::Preflight, Event::Started))]
// The new version's pod waits for its switch meanwhile.
#[case::while_pg_upgrade_runs(KillPoint::Stage(10))]
#[case::when_the_new_server_starts(KillPoint::Record(Step::ReplacedDataDirectory, Event::Succeeded))]
#[tokio::test]
async fn drain_moves_the_upgrade_to_another_node(#[case] point: KillPoint) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let node = SecondNode::add(ns.cluster()).await?;
        let orders = database_on_second_node(ns, &node, "orders").await?;
        let (before, upgrade) = start_upgrade(ns, &orders).await?;
        UpgradeObserver::start(&orders, &upgrade).await?.reach(point).await?;
        node.drain().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure_on(&orders, FIRST_NODE).await?;
        counts::add("faults", 1)
    })
    .await
}

/// The worker finds its place only on another node than the volume: the request says where that is, and a drain helps.
#[tokio::test]
async fn upgrade_on_a_cordoned_node_says_where_the_volume_is() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let node = SecondNode::add(ns.cluster()).await?;
        let orders = database_on_second_node(ns, &node, "orders").await?;
        node.set_unschedulable(SECOND_NODE, true).await?;
        let (before, upgrade) = start_upgrade(ns, &orders).await?;
        let message = wait_reason(ns, "VolumeNotMounted").await?;
        let place = format!("pod orders-0 has the volume on node {SECOND_NODE}");
        anyhow::ensure!(message.contains(&place), "{message}");
        node.drain().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure_on(&orders, FIRST_NODE).await
    })
    .await
}
