//! Failing upgrades that are killed at each journal record of the rollback.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use pgops_api::layout;
use pgops_api::plan::Step;
use pgops_e2e::fault_injection::{Event, Kill, KillPoint, Node, UpgradeObserver, Victim};
use pgops_e2e::{Database, assert_untouched, with_namespace};
use rstest::rstest;
use serde_json::json;

use crate::scenario::{Major, alternating_kills, deliver_all, orders};

/// Number of upgrades among which the records of one rollback are divided.
const UPGRADES: usize = 2;

/// The steps in the order of their undo.
const ROLLBACK: [Step; 9] = [
    Step::StartDatabase,
    Step::ReplacedDataDirectory,
    Step::PgUpgraded,
    Step::UpdateStatefulSetImage,
    Step::StopDatabase,
    Step::PauseDatabase,
    Step::DataDirectoryInitialized,
    Step::Preflight,
    Step::CopiedOldBinaries,
];

/// The kills of one upgrade during the rollback from a step.
fn rollback_kills(from: Step, upgrade: usize) -> Vec<Kill> {
    let undone = ROLLBACK.iter().skip_while(|step| **step != from);
    let undone = undone.map(|step| KillPoint::Record(*step, Event::Undone));
    let failed = KillPoint::Record(from, Event::Failed);
    alternating_kills([failed].into_iter().chain(undone).skip(upgrade).step_by(UPGRADES), Victim::Container)
}

/// `pg_upgrade` misses the file of a table while it transfers files, when it has already transferred some.
#[rstest]
#[tokio::test]
async fn rollback_of_failed_pg_upgrade_killed_at_each_record(
    #[values(Major::Copy, Major::Link)] major: Major,
    #[values(0, 1)] upgrade: usize,
) -> anyhow::Result<()> {
    let kills = rollback_kills(Step::PgUpgraded, upgrade);
    deliver_all(&kills, async |kills: &[Kill]| fail_pg_upgrade(major, kills).await).await
}

/// Returns the kills that came too late.
async fn fail_pg_upgrade(major: Major, kills: &[Kill]) -> anyhow::Result<Vec<Kill>> {
    let mut missed = Vec::new();
    with_namespace(async |ns| {
        let orders = orders(ns, major.from()).await?;
        orders.sql("postgres", "CREATE TABLE missing AS SELECT g FROM generate_series(1, 5000) g").await?;
        // Nothing is left to write, so the old server does not open its file again.
        orders.sql("postgres", "VACUUM FREEZE missing").await?;
        orders.sql("postgres", "CHECKPOINT").await?;
        let before = orders.fingerprint().await?;
        let missing = MissingFile::hide(&orders).await?;
        let upgrade = major.upgrade(ns).field("maxRetries", json!(0)).create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        missed = observer.kill_each(kills).await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PgUpgradedFailed", "{reason}: {message}");
        missing.restore()?;
        assert_untouched(&orders, major.from(), &before).await?;
        observer.assert_rolled_back(kills.len() - missed.len()).await
    })
    .await?;
    Ok(missed)
}

/// The file of the table `missing`, renamed on the volume.
struct MissingFile {
    file: PathBuf,
    aside: PathBuf,
}

impl MissingFile {
    async fn hide(orders: &Database) -> anyhow::Result<Self> {
        let path = orders.value("SELECT pg_relation_filepath('missing')").await?;
        let data = orders.value("SHOW data_directory").await?;
        let data =
            data.strip_prefix(layout::VOLUME_ROOT).context("the data directory is not on the volume")?;
        let volume = Node::local()?.volume(orders).await?;
        let file = volume.join(data.trim_start_matches('/')).join(path);
        let aside = file.with_extension("aside");
        std::fs::rename(&file, &aside)?;
        Ok(Self { file, aside })
    }

    fn restore(&self) -> anyhow::Result<()> {
        Ok(std::fs::rename(&self.aside, &self.file)?)
    }
}

/// The new server does not start: the upgrade is rolled back although the volume and the workload were switched over.
#[rstest]
#[tokio::test]
async fn rollback_of_switchover_killed_at_each_record(#[values(0, 1)] upgrade: usize) -> anyhow::Result<()> {
    deliver_all(&rollback_kills(Step::StartDatabase, upgrade), fail_switchover).await
}

/// Returns the kills that came too late.
async fn fail_switchover(kills: &[Kill]) -> anyhow::Result<Vec<Kill>> {
    let mut missed = Vec::new();
    with_namespace(async |ns| {
        let orders = orders(ns, Major::Copy.from()).await?;
        let before = orders.fingerprint().await?;
        let upgrade = Major::Copy.upgrade(ns).field("maxRetries", json!(0)).create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        let worker = observer.reach(KillPoint::Record(Step::PgUpgraded, Event::Succeeded)).await?;
        let settings = observer.new_auto_conf();
        worker.runner.while_stopped(|| {
            let mut settings = std::fs::OpenOptions::new().append(true).open(settings)?;
            Ok(settings.write_all(b"no_such_setting = on\n")?)
        })?;
        missed = observer.kill_each(kills).await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "StartDatabaseFailed", "{reason}: {message}");
        assert_untouched(&orders, Major::Copy.from(), &before).await?;
        observer.assert_rolled_back(kills.len() - missed.len()).await
    })
    .await?;
    Ok(missed)
}
