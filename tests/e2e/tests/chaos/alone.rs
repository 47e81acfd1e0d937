//! The cluster itself goes away in the middle of an outage. These disturb whatever runs beside them: alone, and
//! one after the other.

use std::process::Command;

use super::*;
use pgops_e2e::fault_injection::{Node, Process};
use rstest::rstest;
use rustix::process::Signal;

/// How long the API server is away.
const AWAY: Duration = Duration::from_mins(2);

/// A process that stands still as long as this lives.
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
async fn api_server_away_for_two_minutes(
    #[case] major: Major,
    #[case] moment: KillPoint,
) -> anyhow::Result<()> {
    survives(major, async |observer, _| {
        observer.reach(moment).await?;
        let stopped = Stopped::stop(Node::local()?.component("kube-apiserver")?)?;
        tokio::time::sleep(AWAY).await;
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
async fn restarted_in_the_outage(
    #[case] component: &str,
    #[case] major: Major,
    #[case] moment: KillPoint,
) -> anyhow::Result<()> {
    survives(major, async |observer, _| {
        observer.reach(moment).await?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/restart");
        let output = Command::new(script).arg(component).output()?;
        ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    })
    .await
}
