//! `pgops-runner`: executes one upgrade as a journalled saga that can be killed at any instant, and has the subcommands that
//! its worker pod needs.
//!
//! - [`saga`] decides what comes next, from the journal alone.
//! - [`steps`] has one file a step, in order of execution: what it does and how it is undone.
//! - [`postgres`] knows the programs and the data directories.
//! - [`worker`] holds the subcommands that run inside database images.

mod cancel;
mod cluster;
mod narrative;
mod postgres;
mod report;
mod saga;
mod steps;
mod upgrade;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about = "Executes one upgrade of a PostgreSQL database on Kubernetes")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copy this program, and a passwd file for the pod's user, to where the database images can run them.
    Install {
        /// Directory that receives the program.
        #[arg(long)]
        to: PathBuf,
        /// File that receives the entries of the pod's user.
        #[arg(long)]
        passwd: PathBuf,
    },
    /// Stage the programs of the old version with their loader and libraries. Runs in the old image.
    Stage {
        /// Directory that receives everything.
        #[arg(long)]
        to: PathBuf,
        /// Major version that this image must have.
        #[arg(long)]
        major: u32,
    },
    /// Execute the plan in the environment variable `PGOPS_PLAN`. Runs in the target image.
    Upgrade,
}

fn main() -> anyhow::Result<ExitCode> {
    if let Some(error) = worker::staged_program::exec_staged_program() {
        return Err(error.into());
    }
    if let Some(result) = worker::pg_dump_wrapper::run_if_called() {
        return Ok(result?);
    }
    match Arguments::parse().command {
        Command::Install { to, passwd } => worker::install::install(&to, &passwd)?,
        Command::Stage { to, major } => return Ok(worker::stage::run(&to, major)?),
        Command::Upgrade if worker::init::is_init() => return Ok(worker::init::supervise()?),
        Command::Upgrade => return upgrade::run().map_err(Into::into),
    }
    Ok(ExitCode::SUCCESS)
}
