//! Faults around an upgrade: what it depends on fails, or is taken from it.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use pgops_api::names;
use pgops_api::plan::Step;
use pgops_e2e::fault_injection::{
    Event, Kill, KillPoint, MemoryLimit, UpgradeObserver, Victim, processes_of_pod,
};
use pgops_e2e::{
    Namespace, assert_untouched, assert_upgraded, assert_upgraded_allowing_restarts, counts, with_namespace,
};
use rstest::rstest;
use rustix::process::Signal;

use crate::scenario::{Major, StartedUpgrade, assert_survives, assert_upgraded_or_rolled_back, orders};

/// The old server was last stopped by a crash: it recovers first, and no row is lost.
#[tokio::test]
async fn database_killed_right_before_the_request() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = orders(ns, Major::Copy.from()).await?;
        // After a crash, sequences may skip values since the last checkpoint; all other commits must be recovered.
        orders.sql("postgres", "CHECKPOINT").await?;
        orders.sql("postgres", "CREATE TABLE late AS SELECT g FROM generate_series(1, 10000) g").await?;
        let before = orders.fingerprint().await?;
        kill_server(ns).await?;
        // Whether the database still counts as Ready by now.
        let upgrade = Major::Copy.upgrade(ns).field("apply", serde_json::json!("Always")).create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        counts::add("faults", 1)
    })
    .await
}

/// The Job is deleted during the outage: the launcher creates it again.
#[rstest]
#[case::while_pg_upgrade_runs(Major::Copy, KillPoint::Stage(15))]
#[case::after_the_switch(Major::Link, KillPoint::Record(Step::ReplacedDataDirectory, Event::Succeeded))]
#[case::while_the_new_server_starts(
    Major::Link,
    KillPoint::After(Step::StartDatabase, Event::Started, Duration::from_millis(500))
)]
#[tokio::test]
async fn job_deleted_during_the_outage(#[case] major: Major, #[case] point: KillPoint) -> anyhow::Result<()> {
    assert_survives(major, async |observer, ns| {
        observer.reach(point).await?;
        for job in ns.jobs_of("up").await? {
            ns.api::<Job>().delete(&job.name_any(), &DeleteParams::background()).await?;
        }
        Ok(())
    })
    .await
}

/// The worker's pod is force-deleted: its processes may still be running when the next pod starts.
#[tokio::test]
async fn worker_pod_force_deleted_during_the_outage() -> anyhow::Result<()> {
    assert_survives(Major::Link, async |observer, ns| {
        observer.reach(KillPoint::Stage(20)).await?;
        let pods = ns.api::<Pod>();
        let selector = format!("{}=up", names::LABEL_REQUEST);
        for pod in pods.list(&kube::api::ListParams::default().labels(&selector)).await? {
            pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        }
        Ok(())
    })
    .await
}

/// The worker is killed after `pg_upgrade`, and an operator starts the old server before the next worker, by
/// `kubectl rollout undo`: what clients write then must not be deleted with the old data.
#[tokio::test]
async fn old_server_started_by_operator_loses_no_write() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = orders(ns, Major::Copy.from()).await?;
        orders.sql("postgres", "CREATE TABLE late (g int)").await?;
        let upgrade = Major::Copy.upgrade(ns).create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        let at = KillPoint::Record(Step::PgUpgraded, Event::Succeeded);
        observer.kill(Kill { at, of: Victim::Container }).await?;
        for undo in [
            &["rollout", "undo", "statefulset/orders"][..],
            &["delete", "pod", "orders-0", "--wait=false", "--ignore-not-found"],
        ] {
            ns.kubectl(undo, None).await?.succeeded()?;
        }
        orders.sql("postgres", "INSERT INTO late SELECT generate_series(1, 100)").await?;
        ensure!(
            orders.server_version().await? == "13.16",
            "the new worker was faster: the fault was not injected"
        );
        eprintln!("--- the old server has accepted writes");
        let before = orders.fingerprint().await?;
        assert_upgraded_or_rolled_back(&orders, &upgrade, Major::Copy.from(), &before).await?;
        counts::add("faults", 1)
    })
    .await
}

/// The new server accepts writes while no worker runs, and then does not start again: a rollback would lose them, so
/// the request gets stuck, and resumes once an operator has fixed the server.
#[tokio::test]
async fn new_server_with_writes_that_crashed_loses_no_write() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = orders(ns, Major::Copy.from()).await?;
        orders.sql("postgres", "CREATE TABLE late (g int)").await?;
        let upgrade = Major::Copy.upgrade(ns).field("maxRetries", serde_json::json!(0));
        // The last attempt would wait up to five minutes for the kubelet's next one.
        let upgrade = upgrade.field("timeout", serde_json::json!("2m")).create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        // The new server has not answered by then, and starts as soon as the killed worker releases the interlock.
        let start = KillPoint::Record(Step::StartDatabase, Event::Started);
        observer.kill(Kill { at: start, of: Victim::Container }).await?;
        orders.sql("postgres", "INSERT INTO late SELECT generate_series(1, 100)").await?;
        let settings = observer.new_auto_conf();
        let original = std::fs::read(&settings)?;
        std::fs::write(&settings, [&original[..], b"no_such_setting = on\n"].concat())?;
        kill_server(ns).await?;
        eprintln!("--- the new server has accepted writes, and does not start again");
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "Stuck", "{reason}: {message}");
        // An operator fixes the configuration: all data exists.
        std::fs::write(&settings, original)?;
        upgrade.resume().await?;
        upgrade.wait_successful().await?;
        let late = orders.value("SELECT count(*) FROM late").await?;
        ensure!(late == "100", "{late} rows of 100 are left");
        let content = orders.fingerprint().await?;
        assert_upgraded_allowing_restarts(&orders, &upgrade, &content).await?;
        counts::add("faults", 1)
    })
    .await
}

/// In link mode there is no rollback once the new server may start. It does not, and the runner retries until an
/// operator has fixed the configuration.
#[tokio::test]
async fn new_server_that_cannot_start_in_link_mode_is_retried() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let StartedUpgrade { orders, before, upgrade, observer } =
            StartedUpgrade::new(ns, Major::Link).await?;
        let worker = observer.reach(KillPoint::Record(Step::PgUpgraded, Event::Succeeded)).await?;
        let settings = observer.new_auto_conf();
        let original = std::fs::read(&settings)?;
        let broken = [&original[..], b"no_such_setting = on\n"].concat();
        worker.runner.while_stopped(|| Ok(std::fs::write(&settings, broken)?))?;
        observer.wait_retry().await?;
        eprintln!("--- the new server does not start");
        std::fs::write(&settings, original)?;
        assert_upgraded_allowing_restarts(&orders, &upgrade, &before).await?;
        counts::add("faults", 1)
    })
    .await
}

/// Kills all processes of the server in the database's pod.
async fn kill_server(ns: &Namespace) -> anyhow::Result<()> {
    let pod = ns.api::<Pod>().get(&names::pod("orders", 0)).await?.uid().context("no uid")?;
    let server = processes_of_pod(&pod, "postgres");
    ensure!(!server.is_empty(), "no process of the server was found");
    for process in server {
        // Its children may end with the postmaster before the signal.
        let _ = process.signal(Signal::KILL);
    }
    Ok(())
}

/// The kernel kills a process of the container that runs programs on the volume, which is out of memory: the kernel
/// chooses which one.
#[rstest]
#[case::before_the_outage(Major::Copy, KillPoint::Record(Step::CopiedOldBinaries, Event::Succeeded))]
#[case::in_the_outage(Major::Copy, KillPoint::Record(Step::PgUpgraded, Event::Started))]
#[case::in_the_outage_by_links(Major::Link, KillPoint::Stage(20))]
#[tokio::test]
async fn worker_out_of_memory(#[case] major: Major, #[case] point: KillPoint) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let StartedUpgrade { orders, before, upgrade, observer } = StartedUpgrade::new(ns, major).await?;
        let worker = observer.reach(point).await?;
        let limit = MemoryLimit::of(&worker.programs)?;
        while !limit.has_killed()? {
            ensure!(worker.is_alive(), "the worker ended before it was out of memory");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(limit);
        counts::add("faults", 1)?;
        assert_upgraded_or_rolled_back(&orders, &upgrade, major.from(), &before).await
    })
    .await
}

/// The kernel kills a process of the rehearsal, which has reached its memory limit: another attempt would need as much.
#[tokio::test]
async fn rehearsal_out_of_memory_is_a_finding() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let StartedUpgrade { orders, before, upgrade, observer } =
            StartedUpgrade::new(ns, Major::Copy).await?;
        let worker = observer.reach(KillPoint::Record(Step::Preflight, Event::Started)).await?;
        let rehearsal = worker.rehearsal.as_ref().context("the worker has no rehearsal")?;
        let limit = MemoryLimit::of(rehearsal)?;
        while !limit.has_killed()? {
            ensure!(worker.is_alive(), "the worker ended before the rehearsal was out of memory");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(limit);
        counts::add("faults", 1)?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed", "the request failed with {reason}: {message}");
        ensure!(message.contains("[rehearsal-memory]") && message.contains("4Gi"), "{message}");
        assert_untouched(&orders, Major::Copy.from(), &before).await
    })
    .await
}
