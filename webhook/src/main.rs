//! The program `pgops-webhook`.

use std::process::ExitCode;

use clap::Parser;
use pgops_webhook::args::{Cli, Command};
use pgops_webhook::{launch, offline, self_test, serve, uninstall, worker_rights};

// Two threads decide on more reviews than an API server can send; on a node with 64 cores the default number
// of threads would only cost memory.
#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Serve(args) => Box::pin(serve::run(*args)).await.map(|()| ExitCode::SUCCESS),
        Command::Launch(args) => Box::pin(launch::run(*args)).await.map(|()| ExitCode::SUCCESS),
        Command::Decide(args) => Ok(offline::run(&args)),
        Command::SelfTest(args) => Box::pin(self_test::run(*args)).await.map(|()| ExitCode::SUCCESS),
        Command::Uninstall(args) => Box::pin(uninstall::run(*args)).await.map(|()| ExitCode::SUCCESS),
        Command::WorkerRights => {
            print!("{}", worker_rights::markdown());
            Ok(ExitCode::SUCCESS)
        }
    }
}
