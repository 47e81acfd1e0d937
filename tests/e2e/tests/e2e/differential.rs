//! An excerpt of the comparison with the real `pg_upgrade`; `make differential` runs all of it.

use anyhow::{Context, ensure};
use pgops_e2e::Cluster;
use pgops_e2e::differential::{Pair, groups};

/// One of each kind: refused by the check, by the restore, and only by the preflight.
const CASES: [&str; 4] = ["aclitem", "heir may be null", "column in a function", "reserved role"];

#[tokio::test]
async fn preflight_and_pg_upgrade_refuse_for_the_same_reasons() -> anyhow::Result<()> {
    let is_selected = |case: &str| CASES.iter().any(|name| case.ends_with(&format!(": {name}")));
    let mut groups = groups(Pair { from: "15.20", to: "18.6" }).into_iter();
    let group = groups.find_map(|group| group.filtered(is_selected)).context("no case has these names")?;
    let comparison = group.compare(&Cluster::connect().await?).await;
    ensure!(comparison.mismatches.is_empty(), "{}", comparison.mismatches.join("\n"));
    ensure!(comparison.lines.len() == CASES.len(), "not all were compared: {:?}", comparison.lines);
    Ok(())
}
