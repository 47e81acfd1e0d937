//! `pgops-demo`: see `pgops_e2e::demo`.

use clap::Parser;
use pgops_e2e::demo::{Options, run};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(Options::parse()).await
}
