//! Each fault of the primary and of a standby.

use pgops_api::members::MemberRole;
use pgops_e2e::fault_injection::ServerPart;
use pgops_e2e::with_namespace;
use rstest::rstest;

use super::fault::{Fault, ISOLATIONS, KILLS, Peers, freezes};
use super::trial::{Trial, assert_survives};
use crate::scenario::three_servers;

fn all_of(role: MemberRole, faults: impl IntoIterator<Item = Fault>) -> Vec<(Fault, MemberRole)> {
    faults.into_iter().map(|fault| (fault, role)).collect()
}

/// One of each kind.
#[tokio::test(flavor = "multi_thread")]
async fn database_survives_a_kill_a_freeze_and_a_partition() -> anyhow::Result<()> {
    assert_survives(&[
        (Fault::Kill(ServerPart::Postmaster), MemberRole::Primary),
        (Fault::Freeze(&[ServerPart::Patroni], 25), MemberRole::Primary),
        (Fault::Kill(ServerPart::Instance), MemberRole::Standby),
        (Fault::Isolate(Peers::ApiServerAndOtherServers, 35), MemberRole::Primary),
    ])
    .await
}

#[rstest]
#[case::primary(MemberRole::Primary)]
#[case::standby(MemberRole::Standby)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "in make test-all only: its kind has another test"]
async fn database_survives_kills(#[case] role: MemberRole) -> anyhow::Result<()> {
    assert_survives(&all_of(role, KILLS)).await
}

#[rstest]
#[case::primary(MemberRole::Primary)]
#[case::standby(MemberRole::Standby)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "in make test-all only: its kind has another test"]
async fn database_survives_freezes(
    #[case] role: MemberRole,
    #[values(5, 15, 25)] seconds: u16,
) -> anyhow::Result<()> {
    assert_survives(&all_of(role, freezes(seconds))).await
}

#[rstest]
#[case::primary(MemberRole::Primary)]
#[case::standby(MemberRole::Standby)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "in make test-all only: its kind has another test"]
async fn database_survives_partitions(#[case] role: MemberRole) -> anyhow::Result<()> {
    assert_survives(&all_of(role, ISOLATIONS)).await
}

#[rstest]
#[case::primary(MemberRole::Primary)]
#[case::standby(MemberRole::Standby)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "in make test-all only: its kind has another test"]
async fn database_survives_a_starved_server(#[case] role: MemberRole) -> anyhow::Result<()> {
    assert_survives(&[(Fault::StarveCpu(40), role)]).await
}

/// Nothing is left that could end the old primary, and the model of the failover excludes this: what becomes of rows is printed.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "in make test-all only: its kind has another test"]
async fn database_recovers_from_a_frozen_watchdog(#[values(15, 25)] seconds: u16) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let mut trial = Trial::start(three_servers(ns).await?).await?;
        let fault = Fault::Freeze(&[ServerPart::Patroni, ServerPart::Instance], seconds);
        trial.survive(fault, MemberRole::Primary).await?;
        if let Err(error) = trial.end().await {
            println!("--- {error:#}");
        }
        Ok(())
    })
    .await
}
