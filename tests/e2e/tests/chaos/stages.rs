//! Major upgrades that are killed after each stage that `pg_upgrade` prints.

use super::*;
use rstest::rstest;

/// Upgrades that share the stages.
const UPGRADES: usize = 9;

/// Stages that `pg_upgrade` passes. A test fails if there are more.
fn stages(major: Major) -> usize {
    match major {
        Major::Copy => 36,
        Major::Link => 34,
    }
}

#[rstest]
#[tokio::test]
async fn killed_after_each_stage_of_pg_upgrade(
    #[values(Major::Copy, Major::Link)] major: Major,
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8)] upgrade: usize,
) -> anyhow::Result<()> {
    let ours = (1..=stages(major)).skip(upgrade).step_by(UPGRADES).map(KillPoint::Stage);
    kill_and_see(major, &in_turn(ours, Victim::Runner), async |observer| {
        let (passed, known) = (observer.stages_of_last_run()?, stages(major));
        ensure!(passed == known, "pg_upgrade has passed {passed} stages, and kills are planned for {known}");
        Ok(())
    })
    .await
}
