//! Major upgrades that are killed at each record of the journal, and in the middle of each long step.
//!
//! Each upgrade takes several kills, far apart; all upgrades of a test together have all records.

use super::*;
use pgops_api::plan::UpgradeKind;
use rstest::rstest;

/// Upgrades that share the records of the journal.
const UPGRADES: usize = 8;

#[rstest]
#[tokio::test]
async fn killed_at_each_record(
    #[values(Major::Copy, Major::Link)] major: Major,
    #[values(0, 1, 2, 3, 4, 5, 6, 7)] upgrade: usize,
) -> anyhow::Result<()> {
    let steps = Step::sequence(UpgradeKind::Major).iter();
    let records =
        steps.flat_map(|step| [Event::Started, Event::Succeeded].map(|mark| KillPoint::Record(*step, mark)));
    let ours = records.skip(upgrade).step_by(UPGRADES);
    // What is killed at a record by one mode lives by the other.
    let first = match major {
        Major::Copy => Victim::Container,
        Major::Link => Victim::Runner,
    };
    upgrade_under_kills(major, &in_turn(ours, first)).await
}

/// How far into the long steps: their effect is there in part.
#[rstest]
#[case::first(Major::Copy, &[(Step::Preflight, 1500), (Step::DataDirectoryInitialized, 400), (Step::StopDatabase, 300), (Step::StartDatabase, 50)])]
#[case::second(Major::Link, &[(Step::Preflight, 700), (Step::DataDirectoryInitialized, 1200), (Step::StopDatabase, 150), (Step::StartDatabase, 100)])]
#[case::third(Major::Copy, &[(Step::CopiedOldBinaries, 100), (Step::PgUpgraded, 1000), (Step::Analyze, 300), (Step::CleanUp, 5)])]
#[case::fourth(Major::Link, &[(Step::Preflight, 1100), (Step::PgUpgraded, 1500), (Step::UpdateExtensions, 10), (Step::Analyze, 100)])]
#[tokio::test]
async fn killed_in_the_middle_of_a_step(
    #[case] major: Major,
    #[case] middles: &[(Step, u64)],
) -> anyhow::Result<()> {
    let after = |(step, milliseconds): &(Step, u64)| {
        KillPoint::After(*step, Event::Started, Duration::from_millis(*milliseconds))
    };
    upgrade_under_kills(major, &in_turn(middles.iter().map(after), Victim::Runner)).await
}
