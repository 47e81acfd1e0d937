//! Major upgrades that are killed after each stage that `pg_upgrade` prints.

use super::*;
use rstest::rstest;

/// Upgrades that share the stages.
const UPGRADES: usize = 9;

/// Stages of `pg_upgrade` of a small database. An upgrade fails that has more or fewer of them.
fn stages(major: Major) -> usize {
    match major {
        Major::Copy => 37,
        Major::Link => 37,
    }
}

#[rstest]
#[tokio::test]
async fn killed_after_each_stage_of_pg_upgrade(
    #[values(Major::Copy, Major::Link)] major: Major,
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8)] upgrade: usize,
) -> anyhow::Result<()> {
    let ours = (1..=stages(major)).skip(upgrade).step_by(UPGRADES).map(Moment::Stage);
    upgrade_under_kills(major, &in_turn(ours, Victim::Runner)).await
}
