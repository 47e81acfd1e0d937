//! Faults around an upgrade: what it depends on goes away, or is taken from it.

use super::*;
use anyhow::Context;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use pgops_api::names;
use pgops_e2e::fault_injection::{MemoryLimit, processes_of_pod};
use rstest::rstest;
use rustix::process::Signal;

/// The last shutdown of the old server is a crash: it recovers first, and no row is lost.
#[tokio::test]
async fn database_killed_right_before_the_request() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = orders(ns, Major::Copy.from()).await?;
        // A crash may skip numbers of sequences that were used since; what else was committed must come back.
        orders.sql("postgres", "CHECKPOINT").await?;
        orders.sql("postgres", "CREATE TABLE late AS SELECT g FROM generate_series(1, 10000) g").await?;
        let before = orders.fingerprint().await?;
        kill_server(ns).await?;
        let upgrade = Major::Copy.upgrade(ns).create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        counts::add("faults", 1)
    })
    .await
}

/// Somebody deletes the Job in the middle of the outage: the launcher makes it again.
#[rstest]
#[case::while_pg_upgrade_runs(Major::Copy, KillPoint::Stage(15))]
#[case::after_the_switch(Major::Link, KillPoint::Record(Step::ReplacedDataDirectory, Event::Succeeded))]
#[case::while_the_new_server_starts(
    Major::Link,
    KillPoint::After(Step::StartDatabase, Event::Started, Duration::from_millis(500))
)]
#[tokio::test]
async fn job_deleted_in_the_outage(#[case] major: Major, #[case] moment: KillPoint) -> anyhow::Result<()> {
    survives(major, async |observer, ns| {
        observer.reach(moment).await?;
        for job in ns.jobs_of("up").await? {
            ns.api::<Job>().delete(&job.name_any(), &DeleteParams::background()).await?;
        }
        Ok(())
    })
    .await
}

/// The worker's pod is deleted by force: nobody waits until its processes are gone.
#[tokio::test]
async fn pod_deleted_by_force_in_the_outage() -> anyhow::Result<()> {
    survives(Major::Link, async |observer, ns| {
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

/// The worker is killed when `pg_upgrade` has run, and somebody lets the old server in before the next worker comes, by
/// `kubectl rollout undo`: what clients write then must not go with the old data.
#[tokio::test]
async fn old_server_let_in_by_somebody_loses_no_write() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = orders(ns, Major::Copy.from()).await?;
        orders.sql("postgres", "CREATE TABLE late (g int)").await?;
        let upgrade = Major::Copy.upgrade(ns).create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        let run = KillPoint::Record(Step::PgUpgraded, Event::Succeeded);
        observer.kill(Kill { at: run, of: Victim::Container }).await?;
        for undo in [
            &["rollout", "undo", "statefulset/orders"][..],
            &["delete", "pod", "orders-0", "--wait=false", "--ignore-not-found"],
        ] {
            ns.kubectl(undo, None).await?.succeeded()?;
        }
        orders.sql("postgres", "INSERT INTO late SELECT generate_series(1, 100)").await?;
        ensure!(orders.server_version().await? == "13.16", "the new worker was first: nothing was tried");
        eprintln!("--- the old server has taken writes");
        let before = orders.fingerprint().await?;
        whole_either_way(&orders, &upgrade, Major::Copy.from(), &before).await?;
        counts::add("faults", 1)
    })
    .await
}

/// The new server answers while no worker looks, takes writes, and then does not start again: the way back would lose
/// them, so there is none, and once a person has mended it the upgrade goes on.
#[tokio::test]
async fn new_server_that_took_writes_and_died_is_mended_and_loses_no_write() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = orders(ns, Major::Copy.from()).await?;
        orders.sql("postgres", "CREATE TABLE late (g int)").await?;
        let upgrade = Major::Copy.upgrade(ns).field("maxRetries", serde_json::json!(0)).create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        // It has not answered by then, and starts as soon as the killed worker no longer holds the interlock.
        let start = KillPoint::Record(Step::StartDatabase, Event::Started);
        observer.kill(Kill { at: start, of: Victim::Container }).await?;
        orders.sql("postgres", "INSERT INTO late SELECT generate_series(1, 100)").await?;
        let settings = observer.volume().join("17/data/postgresql.auto.conf");
        let whole = std::fs::read(&settings)?;
        std::fs::write(&settings, [&whole[..], b"no_such_setting = on\n"].concat())?;
        kill_server(ns).await?;
        eprintln!("--- the new server has taken writes, and does not start again");
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "Stuck", "{reason}: {message}");
        // A person mends what is broken: everything is there.
        std::fs::write(&settings, whole)?;
        upgrade.resume().await?;
        upgrade.wait_successful().await?;
        let late = orders.value("SELECT count(*) FROM late").await?;
        ensure!(late == "100", "{late} rows of 100 are left");
        let whole = orders.fingerprint().await?;
        assert_upgraded_allowing_restarts(&orders, &upgrade, &whole).await?;
        counts::add("faults", 1)
    })
    .await
}

/// By links there is no way back once the new server may start. It does not, and a person who mends what is broken is
/// waited for.
#[tokio::test]
async fn new_server_that_does_not_start_by_links_is_mended_by_a_person() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let StartedUpgrade { orders, before, upgrade, observer } =
            StartedUpgrade::new(ns, Major::Link).await?;
        let worker = observer.reach(KillPoint::Record(Step::PgUpgraded, Event::Succeeded)).await?;
        let settings = observer.volume().join("18/data/postgresql.auto.conf");
        let whole = std::fs::read(&settings)?;
        let broken = [&whole[..], b"no_such_setting = on\n"].concat();
        worker.runner.while_stopped(|| Ok(std::fs::write(&settings, broken)?))?;
        observer.wait_retry().await?;
        eprintln!("--- the new server does not start");
        std::fs::write(&settings, whole)?;
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
        // Its workers may end with the postmaster before they are reached.
        let _ = process.signal(Signal::KILL);
    }
    Ok(())
}

/// The kernel kills a process of the worker because its memory runs out: which one is the kernel's choice.
#[rstest]
#[case::before_the_outage(Major::Copy, KillPoint::Record(Step::CopiedOldBinaries, Event::Succeeded))]
#[case::in_the_outage(Major::Copy, KillPoint::Record(Step::PgUpgraded, Event::Started))]
#[case::in_the_outage_by_links(Major::Link, KillPoint::Stage(20))]
#[tokio::test]
async fn memory_of_the_worker_runs_out(
    #[case] major: Major,
    #[case] moment: KillPoint,
) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let StartedUpgrade { orders, before, upgrade, observer } = StartedUpgrade::new(ns, major).await?;
        let worker = observer.reach(moment).await?;
        let limit = MemoryLimit::of(&worker.runner)?;
        while limit.kills()? == 0 {
            ensure!(worker.is_alive(), "the worker has ended before its memory ran out");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(limit);
        counts::add("faults", 1)?;
        whole_either_way(&orders, &upgrade, major.from(), &before).await
    })
    .await
}
