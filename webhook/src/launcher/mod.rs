//! The launcher: makes exactly one Job of each admitted `PostgresOpsRequest`, and sees that the
//! request ends truthfully whatever becomes of the Job.
//!
//! Two replicas run; the one that holds the Lease acts. What to do is a pure function of what was
//! observed ([`next`]); everything is named after the request, and every write of its status names
//! the version that was read. That one request at a time changes a database is not left to the Lease:
//! the API server decides it, by the [`claim`]. So whoever is stopped half way, or acts a moment too
//! late, does no harm, and the next pass carries on.

mod access;
mod act;
mod begin;
mod carry_on;
mod catalog;
mod claim;
mod controller;
mod job;
mod next;
mod pods;
mod prepare;
mod status;
mod worker;
mod world;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod queue_tests;

use std::sync::Arc;

use anyhow::bail;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};
use pgops_kube::PullPolicy;
use pgops_kube::lease::Election;
use pgops_kube::shutdown::CancellationToken;

use crate::cache::Caches;
use crate::metrics::Metrics;

/// The Lease of the leader.
const LEASE: &str = "pgops-launcher";
/// Who writes our Events.
const REPORTER: &str = "pgops-launcher";

/// What the launcher is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of the Lease.
    pub namespace: String,
    /// This process, in the Lease.
    pub identity: String,
    /// Images of the worker.
    pub images: Images,
}

/// What the flags say about the images of a worker.
#[derive(Clone, Debug)]
pub struct Images {
    /// Image of pgops-runner.
    pub runner: String,
    /// When images are pulled.
    pub pull_policy: Option<PullPolicy>,
}

/// Launches, whenever this process leads, until it is told to end. An error means that a part which
/// never ends has ended.
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
        tracing::info!(lease = LEASE, identity = %options.identity, "leads");
        metrics.set_leader(true);
        let act = controller::run(client.clone(), options.images.clone(), caches.clone(), recorder.clone());
        // Whichever ends first, the others are dropped with it, and with them everything in flight.
        tokio::select! {
            () = act => bail!("the launcher's controller ended"),
            () = catalog::warn(client.clone(), recorder.clone()) => bail!("the watch on PostgresVersion ended"),
            () = held.lost() => tracing::warn!(lease = LEASE, "lost the lease; stops acting"),
            () = shutdown.cancelled() => {
                held.release().await;
                return Ok(());
            }
        }
        metrics.set_leader(false);
    }
}
