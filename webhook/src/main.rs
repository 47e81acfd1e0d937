//! The program `pgops-webhook`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pgops_webhook::{decide, serve};

#[derive(Parser)]
#[command(version, about = "Decides on PostgreSQL upgrades and launches them")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer the API server's admission reviews and, as leader, launch admitted requests.
    Serve(Box<serve::Options>),
    /// Decide from a file with the catalog, without a cluster.
    Decide(decide::Options),
}

// Two threads decide on more reviews than an API server can ask for; on a node of 64 cores as many threads
// would only cost memory.
#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Serve(options) => Box::pin(serve::run(*options)).await.map(|()| ExitCode::SUCCESS),
        Command::Decide(options) => Ok(decide::run(&options)),
    }
}
