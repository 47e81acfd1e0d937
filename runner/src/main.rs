//! `pgops-runner`: executes one upgrade as a journalled saga that can be killed at any instant, and has the subcommands
//! that its worker pod needs.
//!
//! From the bottom up:
//! - [`agent`] is how programs of `PostgreSQL` are run in other containers: this one has none.
//! - [`postgres`] knows the programs and the data directories, [`cluster`] the Kubernetes objects.
//! - [`saga`] decides what comes next, from the journal alone, and executes it.
//! - [`outage`] counts how long no writes were accepted, from the journal.
//! - [`upgrade`] is what every step may use.
//! - [`steps`] is the table of steps: run, undo, timeout, which of them may be interrupted by a cancel, and the point of
//!   no return; one file a step.
//! - [`actions`] lets the saga dispatch through that table.
//! - [`run`](mod@run) is the life of the process; [`summary`] says how it ended.
//! - [`worker`] holds the subcommands that run inside database images.

mod actions;
mod agent;
mod cancel;
mod cli;
mod cluster;
mod digest;
mod logging;
mod missing;
mod outage;
mod postgres;
mod report;
mod run;
mod saga;
mod steps;
mod summary;
mod upgrade;
mod worker;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    if let Some(error) = worker::staged_program::exec_staged_program() {
        return Err(error.into());
    }
    if let Some(result) = worker::pg_dump_wrapper::run_if_called() {
        return Ok(result?);
    }
    cli::run()
}
