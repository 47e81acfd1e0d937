//! A part of the comparison with the real `pg_upgrade` that `make differential` makes in full.

use anyhow::{Context, ensure};
use pgops_e2e::Cluster;
use pgops_e2e::differential::{Pair, groups};

/// One of each kind: what its check refuses, what only a restore shows, what only we refuse.
const CASES: [&str; 4] = ["aclitem", "heir may be null", "column in a function", "reserved role"];

#[tokio::test]
async fn preflight_and_pg_upgrade_refuse_the_same_for_the_same_reasons() -> anyhow::Result<()> {
    let known = |case: &str| CASES.iter().any(|name| case.ends_with(&format!(": {name}")));
    let mut groups = groups(Pair { from: "15.20", to: "18.6" }).into_iter();
    let group = groups.find_map(|group| group.keep(known)).context("no case is called that")?;
    let tally = group.compare(&Cluster::connect().await?).await;
    ensure!(tally.complaints.is_empty(), "{}", tally.complaints.join("\n"));
    ensure!(tally.lines.len() == CASES.len(), "not all were compared: {:?}", tally.lines);
    Ok(())
}
