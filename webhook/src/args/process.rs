//! The arguments that every mode of the process has.

use std::net::SocketAddr;

use clap::Args;
use pgops_api::{ExecutedRequests, ManagedDatabases};
use pgops_kube::NamespaceArgs;
use pgops_kube::connect::ConnectArgs;
use pgops_kube::logging::LogFormat;

/// What every mode of the process needs.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct ProcessArgs {
    /// Address of the plain HTTP listener for /livez, /readyz and /metrics; `[::]` is IPv4 too.
    #[arg(long, env = "PGOPS_HEALTH_BIND", default_value = "[::]:8080")]
    pub(crate) health_bind: SocketAddr,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) namespaces: NamespaceArgs,
    /// Databases to manage: all but those with the label `pgops.dev/managed: "false"`, or only those with
    /// `pgops.dev/managed: "true"` (`labelled`).
    #[arg(long, env = "PGOPS_MANAGED_DATABASES", default_value = "all")]
    pub(crate) managed_databases: ManagedDatabases,
    /// Requests to execute: those of all types that pgops knows (`all`), or `upgrades` only, if another provisioner builds
    /// the databases.
    #[arg(long, env = "PGOPS_EXECUTED_REQUESTS", default_value = "all")]
    pub(crate) executed_requests: ExecutedRequests,
    /// Admit databases with standbys. Not for use yet.
    #[arg(long)]
    pub(crate) enable_standbys: bool,
    /// Log format.
    #[arg(long, env = "PGOPS_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}
