//! Failures of the cluster itself during an outage. These disturb concurrent tests, so they run alone and one after
//! the other.

use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use pgops_api::plan::Step;
use pgops_e2e::fault_injection::{Event, KillPoint, Node, Stopped, UpgradeObserver};
use pgops_e2e::{Namespace, SharedRelease, prepare_removal};
use rstest::rstest;

use crate::scenario::{Major, assert_survives};

/// How long the API server is unavailable.
const DOWNTIME: Duration = Duration::from_mins(2);

#[rstest]
#[case::before_the_stop(Major::Copy, KillPoint::Record(Step::PauseDatabase, Event::Succeeded))]
#[case::while_pg_upgrade_runs(Major::Link, KillPoint::Stage(10))]
#[case::when_the_new_server_starts(Major::Copy, KillPoint::Record(Step::StartDatabase, Event::Started))]
#[tokio::test]
async fn api_server_unavailable_for_two_minutes(
    #[case] major: Major,
    #[case] point: KillPoint,
) -> anyhow::Result<()> {
    assert_survives(major, async |observer, _| {
        observer.reach(point).await?;
        let stopped = Stopped::stop(Node::local()?.component("kube-apiserver")?)?;
        tokio::time::sleep(DOWNTIME).await;
        drop(stopped);
        Ok(())
    })
    .await
}

#[rstest]
#[case::kubelet("kubelet", Major::Copy, KillPoint::Stage(20))]
#[case::kubelet_before_the_start(
    "kubelet",
    Major::Link,
    KillPoint::Record(Step::ReplacedDataDirectory, Event::Started)
)]
#[case::containerd("containerd", Major::Copy, KillPoint::Stage(20))]
#[case::containerd_before_the_start(
    "containerd",
    Major::Link,
    KillPoint::Record(Step::ReplacedDataDirectory, Event::Started)
)]
#[case::api_server("kube-apiserver", Major::Link, KillPoint::Record(Step::StopDatabase, Event::Started))]
#[tokio::test]
async fn component_restarted_during_the_outage(
    #[case] component: &str,
    #[case] major: Major,
    #[case] point: KillPoint,
) -> anyhow::Result<()> {
    assert_survives(major, async |observer, _| {
        observer.reach(point).await?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/restart");
        let output = Command::new(script).arg(component).output()?;
        ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    })
    .await
}

/// While an upgrade runs, all components of pgops are replaced by `helm upgrade`, and again by `helm rollback`; its removal is
/// refused. The runner stands still meanwhile: the upgrade of a small database would end sooner.
#[tokio::test]
async fn pgops_upgraded_and_rolled_back_during_the_outage() -> anyhow::Result<()> {
    assert_survives(Major::Copy, async |observer, ns| {
        let release = SharedRelease(ns.cluster());
        let worker = observer.reach(KillPoint::Stage(10)).await?;
        let stopped = Stopped::stop(worker.runner)?;
        release.upgrade(ns.name()).await?;
        let refused = ensure_removal_is_refused(ns).await;
        drop(stopped);
        // Whatever has failed, the shared installation is as before.
        let rolled_back = roll_back_while_the_new_server_starts(observer, &release).await;
        refused.and(rolled_back)
    })
    .await
}

async fn ensure_removal_is_refused(ns: &Namespace) -> anyhow::Result<()> {
    let (succeeded, log) = prepare_removal(ns, "pgops-e2e-in-use").await?;
    ensure!(!succeeded, "the removal was not refused: {log}");
    for part in [format!("PostgresOpsRequest {}/up is Progressing", ns.name()), "paused by".to_owned()] {
        ensure!(log.contains(&part), "the log does not say {part:?}: {log}");
    }
    Ok(())
}

async fn roll_back_while_the_new_server_starts(
    observer: &UpgradeObserver,
    release: &SharedRelease<'_>,
) -> anyhow::Result<()> {
    let reached = observer.reach(KillPoint::Record(Step::PgUpgraded, Event::Succeeded)).await;
    let stopped = reached.and_then(|worker| Stopped::stop(worker.runner));
    release.roll_back().await?;
    stopped.map(drop)
}
