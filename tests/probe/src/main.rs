//! `pgops-probe`: writes to a database continuously, and reports outages.

mod writer;

use clap::Parser;
use writer::{Options, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    run(Options::parse()).await
}
