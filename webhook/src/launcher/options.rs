//! Settings of the launcher, from the flags of the program.

use pgops_kube::{Namespaces, PullPolicy};

/// Settings of the launcher.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of this process as holder of the Lease.
    pub identity: String,
    /// Images of the worker.
    pub images: Images,
    /// Namespaces whose requests are launched.
    pub watched: Namespaces,
}

/// The image that is the same for all workers; the others are the versions' own.
#[derive(Clone, Debug)]
pub struct Images {
    /// Image of pgops-runner.
    pub runner: String,
    /// `imagePullPolicy` of every container of a worker.
    pub pull_policy: Option<PullPolicy>,
}
