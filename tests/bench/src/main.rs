//! `make bench-upgrade` measures the outage of upgrades, `make bench-preflight` how long the preflight of large servers takes.
//!
//! Each case of an upgrade is measured twice on the same data: with pgops, while a client writes continuously, and as a floor, by a
//! script in a single container. The ratio is compared, since both runs see the same machine under the same load.

mod benchmark;
mod case;
mod data;
mod estimate;
mod floor;
mod memory;
mod metric;
mod metrics;
mod preflight;
mod report;
mod storage;
mod subject;

use std::num::NonZeroU32;

use clap::{Args, Parser};

use crate::case::Case;

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(about = "Measures pgops on a cluster")]
enum Command {
    /// Measures the outage of upgrades, against the same upgrades without pgops
    Upgrade(UpgradeOptions),
    /// Measures how long the preflight of large servers takes
    Preflight(PreflightOptions),
}

#[derive(Args, Clone, Debug)]
struct PreflightOptions {
    /// What to measure: databases "x" tables in each, such as 500x10, with +100000lo for large objects and /upgrade to compare the
    /// estimate with an upgrade's outage, separated by blanks
    #[arg(long, env = "PGOPS_BENCH_CASE", default_value = preflight::DEFAULT_CASES)]
    cases: String,
}

#[derive(Args, Clone, Debug)]
struct UpgradeOptions {
    /// What to measure: FROM:TO/MODE/TABLES/GIGABYTES, separated by blanks
    #[arg(long, env = "PGOPS_BENCH_CASE", default_value = case::DEFAULT_CASES)]
    cases: String,
    /// Number of measurements of each case; the medians are reported
    #[arg(long, env = "PGOPS_BENCH_ROUNDS", default_value = "1")]
    rounds: NonZeroU32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Upgrade(options) => benchmark::run(Case::parse_list(&options.cases)?, options.rounds).await,
        Command::Preflight(options) => preflight::run(preflight::Case::parse_list(&options.cases)?).await,
    }
}
