//! The preflight compared with the real `pg_upgrade`, for all data sets and these pairs of versions.
//!
//! `tests/cluster/exec cargo test -p pgops-e2e --test differential [-- REGEX]` runs it; the regular expression selects
//! cases by their description, such as `13.16 to 17.11, refused: closed`.

use std::pin::pin;

use anyhow::ensure;
use futures::StreamExt;
use pgops_e2e::differential::{Pair, groups};
use pgops_e2e::{Cluster, counts};
use regex::Regex;

const PAIRS: [Pair; 4] = [
    Pair { from: "13.16", to: "17.11" },
    Pair { from: "13.23", to: "15.20" },
    Pair { from: "15.20", to: "18.6" },
    Pair { from: "17.11", to: "18.6" },
];

/// Number of groups at the same time: each spends half of its time waiting for a pod.
const CONCURRENCY: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Arguments that begin with a dash are for the standard harness, which this program does not have.
    let pattern = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let pattern = Regex::new(pattern.as_deref().unwrap_or_default())?;
    let cluster = Cluster::connect().await?;
    let mut compared = 0;
    let mut mismatches = 0;
    let groups = PAIRS.into_iter().flat_map(groups);
    let groups = groups.filter_map(|group| group.filtered(|case| pattern.is_match(case)));
    let comparisons = groups.map(async |group| group.compare(&cluster).await);
    let mut comparisons = pin!(futures::stream::iter(comparisons).buffered(CONCURRENCY));
    while let Some(comparison) = comparisons.next().await {
        for line in &comparison.lines {
            println!("{line}");
        }
        for mismatch in &comparison.mismatches {
            println!("MISMATCH: {mismatch}");
        }
        compared += comparison.lines.len();
        mismatches += comparison.mismatches.len();
    }
    println!("compared: {compared} data sets");
    counts::add("data-sets", compared)?;
    ensure!(mismatches == 0, "{mismatches} mismatches");
    ensure!(compared > 0, "no case matches the pattern");
    Ok(())
}
