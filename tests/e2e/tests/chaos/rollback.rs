//! Upgrades that fail, and are killed at each record of the way back.

use std::io::Write;
use std::path::PathBuf;

use super::*;
use anyhow::Context;
use pgops_api::layout;
use pgops_e2e::fault_injection::Node;
use rstest::rstest;
use serde_json::json;

/// Upgrades that share the records of one way back.
const UPGRADES: usize = 2;

/// The steps that are undone, the first of them last.
const WAY_BACK: [Step; 9] = [
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

/// The kills of one of the upgrades that share the way back from a step.
fn kills_on_the_way_back(from: Step, upgrade: usize) -> Vec<Kill> {
    let undone = WAY_BACK.iter().skip_while(|step| **step != from);
    let undone = undone.map(|step| KillPoint::Record(*step, Event::Undone));
    let failed = KillPoint::Record(from, Event::Failed);
    in_turn([failed].into_iter().chain(undone).skip(upgrade).step_by(UPGRADES), Victim::Container)
}

/// `pg_upgrade` does not find the file of a table while it transfers files: some are transferred by then.
#[rstest]
#[tokio::test]
async fn killed_while_a_failed_pg_upgrade_is_taken_back(
    #[values(Major::Copy, Major::Link)] major: Major,
    #[values(0, 1)] upgrade: usize,
) -> anyhow::Result<()> {
    let kills = kills_on_the_way_back(Step::PgUpgraded, upgrade);
    with_namespace(async |ns| {
        let orders = orders(ns, major.from()).await?;
        orders.sql("postgres", "CREATE TABLE missing AS SELECT g FROM generate_series(1, 5000) g").await?;
        // Nothing is left to write, so the old server need not open its file again.
        orders.sql("postgres", "VACUUM FREEZE missing").await?;
        orders.sql("postgres", "CHECKPOINT").await?;
        let before = orders.fingerprint().await?;
        let missing = Missing::file(&orders).await?;
        let upgrade = major.upgrade(ns).field("maxRetries", json!(0)).create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        for kill in &kills {
            observer.kill(*kill).await?;
        }
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PgUpgradedFailed", "{reason}: {message}");
        missing.put_back()?;
        assert_untouched(&orders, major.from(), &before).await?;
        observer.assert_rolled_back(kills.len()).await
    })
    .await
}

/// The file of the table `missing`, put aside on the volume.
struct Missing {
    file: PathBuf,
    aside: PathBuf,
}

impl Missing {
    async fn file(orders: &Database) -> anyhow::Result<Self> {
        let path = orders.value("SELECT pg_relation_filepath('missing')").await?;
        let data = orders.value("SHOW data_directory").await?;
        let data = data.strip_prefix(layout::VOLUME_ROOT).context("no data on the volume")?;
        let volume = Node::local()?.volume(orders).await?;
        let file = volume.join(data.trim_start_matches('/')).join(path);
        let aside = file.with_extension("aside");
        std::fs::rename(&file, &aside)?;
        Ok(Self { file, aside })
    }

    fn put_back(&self) -> anyhow::Result<()> {
        Ok(std::fs::rename(&self.aside, &self.file)?)
    }
}

/// The new server does not start: the upgrade goes back although the volume and the workload were switched.
#[rstest]
#[tokio::test]
async fn killed_while_a_switch_is_taken_back(#[values(0, 1)] upgrade: usize) -> anyhow::Result<()> {
    let kills = kills_on_the_way_back(Step::StartDatabase, upgrade);
    with_namespace(async |ns| {
        let orders = orders(ns, Major::Copy.from()).await?;
        let before = orders.fingerprint().await?;
        let upgrade = Major::Copy.upgrade(ns).field("maxRetries", json!(0)).create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        let worker = observer.reach(KillPoint::Record(Step::PgUpgraded, Event::Succeeded)).await?;
        let settings = observer.volume().join("17/data/postgresql.auto.conf");
        worker.runner.while_stopped(|| {
            let mut settings = std::fs::OpenOptions::new().append(true).open(settings)?;
            Ok(settings.write_all(b"no_such_setting = on\n")?)
        })?;
        for kill in &kills {
            observer.kill(*kill).await?;
        }
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "StartDatabaseFailed", "{reason}: {message}");
        assert_untouched(&orders, Major::Copy.from(), &before).await?;
        observer.assert_rolled_back(kills.len()).await
    })
    .await
}
