//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::steps::markdown;
use crate::worker::init::{Supervised, is_init, supervise};
use crate::{run, worker};

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
    /// Execute the plan in the environment variable `PGOPS_PLAN`.
    Upgrade,
    /// Run programs of this image at the order of `upgrade`, which is in another container.
    Agent {
        /// Socket to listen on.
        #[arg(long)]
        socket: PathBuf,
    },
    /// Give a finished dump to the rehearsal, without the passwords in it. Runs in the container that has made it.
    #[command(hide = true)]
    PublishDump {
        /// The dump, which is removed.
        #[arg(long)]
        from: PathBuf,
        /// Where the rehearsal finds it.
        #[arg(long)]
        to: PathBuf,
    },
    /// Print the table of steps as Markdown, for the documentation.
    #[command(hide = true)]
    Steps {
        /// Form of the table.
        form: markdown::Form,
    },
}

/// Parses the command line and runs the subcommand.
pub fn run() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Install { to, passwd } => worker::install::install(&to, &passwd)?,
        Command::Stage { to, major } => return Ok(worker::stage::run(&to, major)?),
        Command::Upgrade if is_init() => return Ok(supervise(Supervised::Runner)?),
        Command::Agent { .. } if is_init() => return Ok(supervise(Supervised::Agent)?),
        Command::Agent { socket } => return Ok(worker::agent::run(&socket)?),
        Command::Upgrade => return run::run().map_err(Into::into),
        Command::PublishDump { from, to } => worker::publish_dump::run(&from, &to)?,
        Command::Steps { form } => print!("{}", markdown::render(form)),
    }
    Ok(ExitCode::SUCCESS)
}
