//! `pgops-webhook launch`: the launcher. It listens for nothing but probes and metrics.

use anyhow::bail;
use pgops_certs::Certificates;

use crate::args::LaunchArgs;
use crate::launcher;
use crate::process::Process;

/// Launches upgrades, while this replica is the leader, until a termination signal.
pub async fn run(args: LaunchArgs) -> anyhow::Result<()> {
    let options = args.options()?;
    let process = Process::start(args.process, &[]).await?;
    let shutdown = process.shutdown.clone();
    let launcher = launcher::run(
        process.client.clone(),
        options,
        process.caches.clone(),
        process.metrics.clone(),
        shutdown.clone(),
    );
    let launcher = async move {
        launcher.await?;
        if !shutdown.is_cancelled() {
            bail!("the launcher ended by itself");
        }
        Ok(())
    };
    // It has no certificate: it serves no reviews.
    Box::pin(process.run(Certificates::default(), launcher)).await
}
