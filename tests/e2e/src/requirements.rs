//! What the tests need of a cluster, said once and up front rather than by the first test that fails for lack of it.

use std::collections::BTreeSet;

use anyhow::ensure;
use kube::ResourceExt;
use kube::api::ListParams;
use tokio::sync::OnceCell;

use crate::cluster::Cluster;

/// The catalog of `tests/values.yaml`.
const CATALOG: [&str; 11] = [
    "13.16",
    "13.23",
    "15.18",
    "15.20",
    "17.11",
    "17.12",
    "18.6",
    "15.18-uid1999",
    "17.11-alpine",
    "17.11-percona",
    "broken",
];
/// What names of entries that tests create for themselves begin with.
const OF_TESTS: &str = "e2e-";

/// Fails unless the cluster has what the tests need; a process checks that once.
pub(crate) async fn check(cluster: &Cluster) -> anyhow::Result<()> {
    static CHECKED: OnceCell<()> = OnceCell::const_new();
    CHECKED.get_or_try_init(|| has_catalog(cluster)).await.copied()
}

async fn has_catalog(cluster: &Cluster) -> anyhow::Result<()> {
    let existing = cluster.catalog_names().await?;
    let missing: Vec<_> = CATALOG.into_iter().filter(|name| !existing.contains(*name)).collect();
    ensure!(
        missing.is_empty(),
        "the catalog lacks the PostgresVersions {}: the tests need those of tests/values.yaml, in addition to any others \
         (make install, or helm upgrade --values tests/values.yaml)",
        missing.join(", ")
    );
    Ok(())
}

impl Cluster {
    /// Fails if the catalog has entries that no test has made: for a test of messages that list all entries.
    pub async fn require_catalog_of_tests(&self, also: &[&str]) -> anyhow::Result<()> {
        let known =
            |name: &str| CATALOG.contains(&name) || also.contains(&name) || name.starts_with(OF_TESTS);
        let others: Vec<_> = self.catalog_names().await?.into_iter().filter(|name| !known(name)).collect();
        ensure!(
            others.is_empty(),
            "the catalog has the PostgresVersions {}, which tests/values.yaml has not: this test compares messages that list the \
             whole catalog. Delete them, or run it on the project's own cluster (tests/cluster/exec)",
            others.join(", ")
        );
        Ok(())
    }

    async fn catalog_names(&self) -> anyhow::Result<BTreeSet<String>> {
        Ok(self.catalog().list(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect())
    }
}
