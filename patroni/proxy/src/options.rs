//! The options of `pgops-patroni-proxy serve`: flags, or in a pod the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::name::Name;

/// The options of `pgops-patroni-proxy serve`. In a pod, all that have no default come from the environment.
#[derive(clap::Args)]
pub struct Options {
    /// Namespace of the database.
    #[arg(long, env = "PGOPS_NAMESPACE")]
    pub namespace: Name,
    /// Name of the database: its pods are `<database>-<number>`.
    #[arg(long, env = "PGOPS_DATABASE")]
    pub database: Name,
    /// Patroni's scope: its objects are `<scope>-leader` and others.
    #[arg(long, env = "PGOPS_HA_SCOPE")]
    pub ha_scope: Name,
    /// Name of this pod, the only one that may be changed.
    #[arg(long, env = "PGOPS_POD_NAME")]
    pub pod: Name,
    /// Port for Patroni, on the loopback interface.
    #[arg(long, default_value_t = 8009)]
    pub port: u16,
    /// Address of the listener for probes.
    #[arg(long, default_value = "[::]:8011", value_name = "ADDRESS")]
    pub health: SocketAddr,
    /// Address of the API server.
    #[arg(long, env = "KUBERNETES_SERVICE_HOST", value_name = "HOST")]
    pub api_host: String,
    /// Port of the API server.
    #[arg(long, env = "KUBERNETES_SERVICE_PORT", value_name = "PORT")]
    pub api_port: u16,
    /// Directory of the service account: token and ca.crt.
    #[arg(long, default_value = "/var/run/secrets/kubernetes.io/serviceaccount", value_name = "DIR")]
    pub service_account: PathBuf,
}
