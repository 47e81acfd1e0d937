//! `pgops-bench-upgrade`: see `pgops_e2e::bench`.

use clap::Parser;
use pgops_e2e::bench::{Options, run};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(Options::parse()).await
}
