//! Major upgrades that are killed at each journal record, and in the middle of each long step.
//!
//! Each upgrade is killed several times, far apart; all upgrades of a test together cover all records.

use std::time::Duration;

use pgops_api::plan::{Step, UpgradeKind};
use pgops_e2e::fault_injection::{Event, KillPoint, Victim};
use rstest::rstest;

use crate::scenario::{Major, alternating_kills, assert_survives_kills};

/// Number of upgrades among which the journal records are divided.
const UPGRADES: usize = 8;

#[rstest]
#[tokio::test]
async fn major_upgrade_killed_at_each_record(
    #[values(Major::Copy, Major::Link)] major: Major,
    #[values(0, 1, 2, 3, 4, 5, 6, 7)] upgrade: usize,
) -> anyhow::Result<()> {
    let steps = Step::sequence(UpgradeKind::Major).iter();
    let records =
        steps.flat_map(|step| [Event::Started, Event::Succeeded].map(|mark| KillPoint::Record(*step, mark)));
    let selected = records.skip(upgrade).step_by(UPGRADES);
    // What one mode kills at a record survives in the other mode.
    let first = match major {
        Major::Copy => Victim::Container,
        Major::Link => Victim::Runner,
    };
    assert_survives_kills(major, &alternating_kills(selected, first)).await
}

/// Delays into long steps, whose effect exists in part then.
#[rstest]
#[case::first(Major::Copy, &[(Step::Preflight, 1500), (Step::DataDirectoryInitialized, 400), (Step::StopDatabase, 300), (Step::StartDatabase, 50)])]
#[case::second(Major::Link, &[(Step::Preflight, 700), (Step::DataDirectoryInitialized, 1200), (Step::StopDatabase, 150), (Step::StartDatabase, 100)])]
#[case::third(Major::Copy, &[(Step::CopiedOldBinaries, 100), (Step::PgUpgraded, 1000), (Step::CleanUp, 5), (Step::Analyze, 300)])]
#[case::fourth(Major::Link, &[(Step::Preflight, 1100), (Step::PgUpgraded, 1500), (Step::UpdateExtensions, 10), (Step::Analyze, 100)])]
#[tokio::test]
async fn major_upgrade_killed_in_the_middle_of_a_step(
    #[case] major: Major,
    #[case] middles: &[(Step, u64)],
) -> anyhow::Result<()> {
    let after = |(step, milliseconds): &(Step, u64)| {
        KillPoint::After(*step, Event::Started, Duration::from_millis(*milliseconds))
    };
    assert_survives_kills(major, &alternating_kills(middles.iter().map(after), Victim::Runner)).await
}
