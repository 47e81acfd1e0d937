//! The command line.

mod certificate;
mod launch;
mod process;
mod serve;

use clap::{Parser, Subcommand};

use crate::offline::DecideArgs;
pub use launch::LaunchArgs;
pub use process::ProcessArgs;
pub use serve::ServeArgs;

/// The command line of `pgops-webhook`.
#[derive(Parser)]
#[command(version, about = "Admission and launcher of PostgreSQL upgrades")]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Subcommand)]
pub enum Command {
    /// Serve admission reviews.
    Serve(Box<ServeArgs>),
    /// Launch the Jobs of admitted requests, as the leader.
    Launch(Box<LaunchArgs>),
    /// Decide on upgrades from a catalog file, without a cluster.
    Decide(DecideArgs),
    /// Print the rights of a worker, for the documentation.
    #[command(hide = true)]
    WorkerRights,
}
