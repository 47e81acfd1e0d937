//! All attacks on the superuser's rights, for these pairs of versions.
//!
//! `tests/cluster/exec cargo test -p pgops-e2e --test escalation [-- REGEX]` runs it; the regular expression selects cases
//! by their description, such as `13.16 to 17.11: partition_key`.

use std::pin::pin;

use anyhow::ensure;
use futures::StreamExt;
use pgops_e2e::differential::Pair;
use pgops_e2e::escalation::{Case, all_cases, attack_all};
use pgops_e2e::{Cluster, counts};
use regex::Regex;

const PAIRS: [Pair; 2] = [Pair { from: "13.16", to: "17.11" }, Pair { from: "15.20", to: "18.6" }];

/// Number of servers at the same time.
const CONCURRENCY: usize = 3;
/// Number of cases on one server: a finding names ten functions, and a case has up to three.
const CASES_OF_A_SERVER: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Arguments that begin with a dash are for the standard harness, which this program does not have.
    let pattern = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let pattern = Regex::new(pattern.as_deref().unwrap_or_default())?;
    let cluster = Cluster::connect().await?;
    let groups = PAIRS.into_iter().flat_map(|pair| groups(pair, &pattern));
    let attacks = groups.map(async |(pair, cases)| {
        let result = cluster.with_namespace(async |ns| attack_all(ns, pair, &cases).await).await;
        (pair, cases, result)
    });
    let mut attacks = pin!(futures::stream::iter(attacks).buffered(CONCURRENCY));
    let (mut passed, mut failed) = (0, 0);
    while let Some((pair, cases, result)) = attacks.next().await {
        let names: Vec<_> = cases.iter().map(|case| description(pair, case)).collect();
        match result {
            Ok(()) => {
                passed += cases.len();
                println!("{}: no rights gained", names.join(", "));
            }
            Err(error) => {
                failed += cases.len();
                println!("FAILED: {}: {error:#}", names.join(", "));
            }
        }
    }
    counts::add("attacks", passed)?;
    ensure!(failed == 0, "{failed} attacks are in groups that failed");
    ensure!(passed > 0, "no case matches the pattern");
    Ok(())
}

/// The selected cases that can be created in the old version of a pair, grouped by server: one case that is refused hides
/// whether the others pass.
fn groups(pair: Pair, pattern: &Regex) -> Vec<(Pair, Vec<&'static Case>)> {
    let (old, _) = pair.majors();
    let selected =
        all_cases().filter(|case| case.on.contains(&old) && pattern.is_match(&description(pair, case)));
    let (refused, passed): (Vec<_>, Vec<_>) = selected.partition(|case| case.blocks());
    let chunks = refused.chunks(CASES_OF_A_SERVER).chain(passed.chunks(CASES_OF_A_SERVER));
    chunks.map(|cases| (pair, cases.to_vec())).collect()
}

fn description(pair: Pair, case: &Case) -> String {
    format!("{} to {}: {}", pair.from, pair.to, case.name)
}
