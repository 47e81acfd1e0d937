//! Why a call to the API server failed.

use pgops_kube::ApiError;
use pgops_kube::connect::ConnectError;

/// The API server refused, or was unavailable for too long; or an object is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Another client holds the database.
    #[error(
        "{database} is held by another client: \"{message}\"; wait for it, or remove the condition Paused"
    )]
    Held {
        database: String,
        /// The message of the condition `Paused`.
        message: String,
    },
    /// The pod of the database cannot start.
    #[error("pod {pod} cannot start: {reason}")]
    PodBroken {
        pod: String,
        /// What the kubelet reports.
        reason: String,
    },
    /// An object lacks a part that it must have.
    #[error("failed to find {what}")]
    Missing { what: String },
}
