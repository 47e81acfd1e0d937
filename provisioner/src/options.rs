//! The command line.

use std::net::SocketAddr;

use clap::Parser;
use pgops_api::ManagedDatabases;
use pgops_kube::connect::ConnectArgs;
use pgops_kube::logging::LogFormat;
use pgops_kube::{ContainerResources, ImageArgs, NamespaceArgs, PullPolicy};

use crate::apply::MANAGER;
use crate::children::IpFamilyArgs;

/// Turns each `Postgres` into the objects that run it.
#[derive(Parser)]
#[command(name = "pgops-provisioner", version)]
pub struct Options {
    /// Image of the instance, which becomes PID 1 of each database pod.
    #[arg(long, env = "PGOPS_INSTANCE_IMAGE", value_name = "IMAGE")]
    pub instance_image: String,
    /// When the images of database pods are pulled.
    #[arg(long, env = "PGOPS_IMAGE_PULL_POLICY", value_name = "POLICY", default_value = "IfNotPresent")]
    pub image_pull_policy: PullPolicy,
    #[command(flatten)]
    pub images: ImageArgs,
    #[command(flatten)]
    pub ip_families: IpFamilyArgs,
    /// Requests and limits, as JSON, of the init container that copies the instance into each database pod.
    #[arg(
        long,
        env = "PGOPS_INSTALL_RESOURCES",
        value_name = "JSON",
        default_value = r#"{"requests":{"cpu":"10m","memory":"16Mi"},"limits":{"cpu":"500m","memory":"128Mi"}}"#
    )]
    pub install_resources: ContainerResources,
    /// Build databases with standbys. Not for use yet.
    #[arg(long, requires = "patroni_image")]
    pub enable_standbys: bool,
    /// Image with the Patroni bundle and its proxy, which pods of databases with standbys run.
    #[arg(long, env = "PGOPS_PATRONI_IMAGE", value_name = "IMAGE")]
    pub patroni_image: Option<String>,
    /// Namespace of the provisioner's lease.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: String,
    /// Name of this replica in the lease and in Events.
    #[arg(long, env = "POD_NAME", default_value = MANAGER)]
    pub name: String,
    #[command(flatten)]
    pub namespaces: NamespaceArgs,
    /// Databases to build: all but those with the label `pgops.dev/managed: "false"`, or only those with
    /// `pgops.dev/managed: "true"` (`labelled`).
    #[arg(long, env = "PGOPS_MANAGED_DATABASES", default_value = "all")]
    pub managed_databases: ManagedDatabases,
    /// Address of /livez and /readyz; `[::]` is IPv4 too.
    #[arg(long, env = "PGOPS_HEALTH_BIND", value_name = "ADDRESS", default_value = "[::]:8080")]
    pub health_bind: SocketAddr,
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// Format of the log.
    #[arg(long, env = "PGOPS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}
