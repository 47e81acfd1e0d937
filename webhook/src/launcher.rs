//! The launcher: creates exactly one Job for each admitted `PostgresOpsRequest`, and ensures that the
//! request ends with its true result whatever happens to the Job.
//!
//! Two replicas run; the one that holds the Lease acts. What to do is a pure function of what was
//! observed ([`decide`]); every object is named after the request, and every write of the request's status
//! is conditioned on the `resourceVersion` that was read. That one request at a time changes a
//! database does not depend on the Lease: the API server guarantees it, by the [`claim`]. So a launcher that stops
//! halfway, or acts a moment too late, does no harm, and the next reconciliation continues from there.

mod options;
mod pod_metadata;

// What is.
mod claim;
mod job_state;
mod observe;
mod pods;
mod progress;
mod queue;
mod rights;
mod start_problem;
mod state;
mod stored_images;
mod waiting;

// What to do next: pure.
mod action;
mod decide;
mod worker;

// What is done.
mod abandoned_jobs;
mod apply;
mod catalog;
mod controller;
mod ended_pods;
mod events;
mod status;
mod triggers;
mod writes;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::bail;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};

use crate::cache::Caches;
use crate::metrics::Metrics;
pub use options::{MemoryLimit, Options, WorkerOptions};
use pgops_kube::lease::Election;
use pgops_kube::shutdown::CancellationToken;
pub use pod_metadata::PodMetadata;
pub use worker::rights::rights as worker_rights;

/// Name of the leader's Lease.
const LEASE: &str = "pgops-launcher";
/// Reporting component of the launcher's Events.
const REPORTER: &str = "pgops-launcher";

/// Runs the launcher, which acts while this process leads, until shutdown. An error means that a component
/// which never ends has ended.
pub async fn run(
    client: Client,
    options: Options,
    caches: Arc<Caches>,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let reporter = Reporter { controller: REPORTER.to_owned(), instance: Some(options.identity.clone()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let leases = Api::namespaced(client.clone(), &options.namespace);
    let election = Election::new(leases, LEASE, options.identity.clone());
    loop {
        let mut held = tokio::select! {
            held = election.acquire() => held,
            () = shutdown.cancelled() => return Ok(()),
        };
        tracing::info!(lease = LEASE, identity = %options.identity, "became the leader");
        metrics.set_leader(true);
        let controllers = controller::run(client.clone(), &options, &caches, &recorder, &metrics);
        // Whichever ends first, the others are dropped with it, and with them everything in flight.
        tokio::select! {
            () = controllers => bail!("a controller of the launcher ended"),
            () = catalog::warn_about_problems(client.clone(), recorder.clone()) => {
                bail!("the watch on PostgresVersion ended")
            }
            () = held.lost() => tracing::warn!(lease = LEASE, "lost the lease; no longer the leader"),
            () = shutdown.cancelled() => {
                held.release().await;
                return Ok(());
            }
        }
        metrics.set_leader(false);
    }
}
