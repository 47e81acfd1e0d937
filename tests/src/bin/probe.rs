//! `pgops-probe`: see `pgops_e2e::probe`.

use clap::Parser;
use pgops_e2e::probe::{Options, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    run(Options::parse()).await
}
