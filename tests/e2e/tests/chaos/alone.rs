//! Failures of the cluster itself during an outage. These disturb concurrent tests, so they run alone and one after
//! the other.

use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use pgops_api::plan::Step;
use pgops_e2e::fault_injection::{Event, KillPoint, Node, Process};
use rstest::rstest;
use rustix::process::Signal;

use crate::scenario::{Major, assert_survives};

/// How long the API server is unavailable.
const DOWNTIME: Duration = Duration::from_mins(2);

/// A stopped process, continued on drop.
struct Stopped(Process);

impl Stopped {
    fn stop(process: Process) -> anyhow::Result<Self> {
        process.signal(Signal::STOP)?;
        Ok(Self(process))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Err(error) = self.0.signal(Signal::CONT) {
            eprintln!("--- {error:#}");
        }
    }
}

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
