//! The command line.

mod certificate;
mod launch;
mod process;
mod self_test;
mod serve;
mod uninstall;

use clap::{Parser, Subcommand};

use crate::offline::DecideArgs;
pub use launch::LaunchArgs;
pub use process::ProcessArgs;
pub use self_test::SelfTestArgs;
pub use serve::ServeArgs;
pub use uninstall::UninstallArgs;

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
    /// Check that the API server asks this installation about requests: the chart's test hook.
    SelfTest(Box<SelfTestArgs>),
    /// Prepare the removal of this installation: the chart's pre-delete hook.
    Uninstall(Box<UninstallArgs>),
    /// Print the rights of a worker, for the documentation.
    #[command(hide = true)]
    WorkerRights,
}
