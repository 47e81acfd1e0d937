//! Upgrades that fail, and are killed at each record of the way back.

use std::path::PathBuf;

use super::*;
use anyhow::Context;
use pgops_e2e::assert_untouched;
use rstest::rstest;
use serde_json::json;

/// The steps that are undone when `pg_upgrade` has failed, in that order.
const UNDONE: [Step; 6] = [
    Step::PgUpgraded,
    Step::StopDatabase,
    Step::PauseDatabase,
    Step::DataDirectoryInitialized,
    Step::Preflight,
    Step::CopiedOldBinaries,
];

/// Upgrades that share the records of the way back.
const UPGRADES: usize = 2;

/// `pg_upgrade` does not find the file of a table while it transfers files: some are transferred by then.
#[rstest]
#[tokio::test]
async fn killed_while_a_failed_pg_upgrade_is_taken_back(
    #[values(Major::Copy, Major::Link)] major: Major,
    #[values(0, 1)] upgrade: usize,
) -> anyhow::Result<()> {
    let failed = Moment::Record(Step::PgUpgraded, Mark::Failed);
    let undone = UNDONE.map(|step| Moment::Record(step, Mark::Undone));
    let ours = [failed].into_iter().chain(undone).skip(upgrade).step_by(UPGRADES);
    let kills = in_turn(ours, Victim::Container);
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let orders = orders(ns, major.from()).await?;
            orders
                .sql("postgres", "CREATE TABLE missing AS SELECT g FROM generate_series(1, 5000) g")
                .await?;
            // Nothing is left to write, so the old server need not open its file again.
            orders.sql("postgres", "VACUUM FREEZE missing").await?;
            orders.sql("postgres", "CHECKPOINT").await?;
            let before = orders.fingerprint().await?;
            let missing = Missing::file(&orders).await?;
            let upgrade = major.upgrade(ns).field("maxRetries", json!(0)).create().await?;
            let mut watch = Watch::begin(&orders, &upgrade).await?;
            for kill in &kills {
                watch.kill(*kill).await?;
            }
            let (reason, message) = upgrade.wait_failed().await?;
            anyhow::ensure!(reason == "PgUpgradedFailed", "{reason}: {message}");
            missing.put_back()?;
            assert_untouched(&orders, major.from(), &before).await?;
            watch.assert_taken_back(kills.len()).await
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
        let volume = pgops_e2e::crash::Node::here()?.volume(orders).await?;
        let data = data.strip_prefix(pgops_api::layout::VOLUME_ROOT).context("no data on the volume")?;
        let file = volume.join(data.trim_start_matches('/')).join(path);
        let aside = file.with_extension("aside");
        std::fs::rename(&file, &aside)?;
        Ok(Self { file, aside })
    }

    fn put_back(&self) -> anyhow::Result<()> {
        Ok(std::fs::rename(&self.aside, &self.file)?)
    }
}
