//! The program `pgops-webhook`.

use clap::{Parser, Subcommand};
use pgops_webhook::serve;

#[derive(Parser)]
#[command(version, about = "Decides on PostgreSQL upgrades and launches them")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer the API server's admission reviews and, as leader, launch admitted requests.
    Serve(serve::Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Serve(options) => Box::pin(serve::run(options)).await,
    }
}
