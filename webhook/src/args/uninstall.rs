//! The arguments of `uninstall`.

use clap::Args;
use pgops_kube::NamespaceArgs;
use pgops_kube::connect::ConnectArgs;
use pgops_kube::logging::LogFormat;

/// The arguments of `uninstall`.
#[derive(Args, Clone, Debug)]
pub struct UninstallArgs {
    /// Namespace of this installation.
    #[arg(long, env = "POD_NAMESPACE")]
    pub(crate) namespace: String,
    /// Deployments of launcher and provisioner, which are scaled to 0 first; repeat it for each.
    #[arg(long = "deployment", value_name = "NAME")]
    pub(crate) deployments: Vec<String>,
    /// Name of both webhook configurations, which are deleted last.
    #[arg(long, env = "PGOPS_WEBHOOK_CONFIG", value_name = "NAME")]
    pub(crate) webhook_config: String,
    /// Leave the finalizers of databases alone: another provisioner has set them and will remove them.
    #[arg(long)]
    pub(crate) keep_database_finalizers: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) namespaces: NamespaceArgs,
    /// Log format.
    #[arg(long, env = "PGOPS_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}
