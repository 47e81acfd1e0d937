//! The arguments of `self-test`.

use clap::Args;
use pgops_kube::connect::ConnectArgs;

/// The arguments of `self-test`.
#[derive(Args, Clone, Debug)]
pub struct SelfTestArgs {
    /// A namespace that this installation watches. Nothing is created in it.
    #[arg(long, env = "POD_NAMESPACE")]
    pub(crate) namespace: String,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
