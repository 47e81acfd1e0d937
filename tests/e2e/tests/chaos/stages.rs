//! Major upgrades that are killed after each stage of `pg_upgrade`.

use anyhow::ensure;
use pgops_e2e::fault_injection::{Kill, KillPoint, Victim};
use rstest::rstest;

use crate::scenario::{Major, alternating_kills, assert_survives_kills, assert_survives_kills_and};

/// Number of upgrades among which the stages are divided.
const UPGRADES: usize = 9;

/// Number of stages that `pg_upgrade` has. A test fails if it has more.
fn stages(major: Major) -> usize {
    match major {
        Major::Copy => 35,
        Major::Link => 33,
    }
}

#[rstest]
#[tokio::test]
async fn major_upgrade_killed_after_each_stage_of_pg_upgrade(
    #[values(Major::Copy, Major::Link)] major: Major,
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8)] upgrade: usize,
) -> anyhow::Result<()> {
    let selected = (1..=stages(major)).skip(upgrade).step_by(UPGRADES).map(KillPoint::Stage);
    assert_survives_kills_and(major, &alternating_kills(selected, Victim::Runner), |observer| {
        let passed = observer.stages_of_last_run()?;
        let planned = stages(major);
        ensure!(
            passed == planned,
            "pg_upgrade has passed {passed} stages, but kills are planned for {planned}"
        );
        Ok(())
    })
    .await
}

/// The container of `pg_upgrade` is killed, and the runner is not: it leaves the step to the next pod.
#[rstest]
#[tokio::test]
async fn major_upgrade_survives_the_container_of_pg_upgrade(
    #[values(Major::Copy, Major::Link)] major: Major,
    #[values(1, 12, 24, 30)] stage: usize,
) -> anyhow::Result<()> {
    assert_survives_kills(major, &[Kill { at: KillPoint::Stage(stage), of: Victim::Programs }]).await
}
