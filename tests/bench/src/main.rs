//! `make bench-upgrade`: measures the outage of upgrades.
//!
//! Each case is measured twice on the same data: with pgops, while a client writes continuously, and as a floor, by a
//! script in a single container. The ratio is compared, since both runs see the same machine under the same load.

mod benchmark;
mod case;
mod data;
mod floor;
mod memory;
mod metric;
mod metrics;
mod report;
mod storage;
mod subject;

use std::num::NonZeroU32;

use clap::Parser;

use crate::case::Case;

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(about = "Measures the outage of upgrades on a cluster, against the same upgrades without pgops")]
struct Options {
    /// What to measure: FROM:TO/MODE/TABLES/GIGABYTES, separated by blanks
    #[arg(long, env = "PGOPS_BENCH_CASE", default_value = case::DEFAULT_CASES)]
    cases: String,
    /// Number of measurements of each case; the medians are reported
    #[arg(long, env = "PGOPS_BENCH_ROUNDS", default_value = "1")]
    rounds: NonZeroU32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    benchmark::run(Case::parse_list(&options.cases)?, options.rounds).await
}
