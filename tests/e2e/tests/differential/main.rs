//! Our preflight beside the real `pg_upgrade`, for all data sets and these pairs of versions.
//!
//! `tests/cluster/exec cargo test -p pgops-e2e --test differential [-- REGEX]` runs it; with a regular expression,
//! only the cases whose description it fits, such as `13.16 to 17.11, refused: closed`.

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

/// Half of the time each waits for a pod.
const AT_A_TIME: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // What begins with a dash is for the harness that this program does without.
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = Regex::new(given.as_deref().unwrap_or_default())?;
    let cluster = Cluster::connect().await?;
    let (mut tried, mut complaints) = (0, 0);
    let groups =
        PAIRS.into_iter().flat_map(groups).filter_map(|group| group.keep(|case| wanted.is_match(case)));
    let compared = groups.map(async |group| group.compare(&cluster).await);
    let mut compared = pin!(futures::stream::iter(compared).buffered(AT_A_TIME));
    while let Some(tally) = compared.next().await {
        for line in &tally.lines {
            println!("{line}");
        }
        for complaint in &tally.complaints {
            println!("NOT AS IT SHOULD BE: {complaint}");
        }
        tried += tally.lines.len();
        complaints += tally.complaints.len();
    }
    println!("tried: {tried} data sets");
    counts::add("data-sets", tried)?;
    ensure!(complaints == 0, "{complaints} complaints");
    ensure!(tried > 0, "no case is called that");
    Ok(())
}
