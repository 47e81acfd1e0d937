//! A narrated upgrade of PostgreSQL 13 to 17, for first-time users of pgops.

mod chapters;
mod step_times;
mod terminal;

use clap::Parser;

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(about = "Upgrades PostgreSQL 13 to 17 on a cluster, and explains what happens")]
struct Options {
    /// Command prefix that reaches the cluster, shown with the suggested commands at the end
    #[arg(long)]
    through: Option<String>,
    /// Directory with the demo's manifests
    #[arg(long, default_value = "tests/manifests")]
    manifests: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    chapters::run(options.manifests, options.through.as_deref()).await
}
