//! Why pgops cannot be removed.

use pgops_kube::ApiError;

use super::decision::Blockers;

#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    #[error("{0}")]
    Refused(Blockers),
    #[error(
        "failed to stop pgops: pod {0} has not ended; wait for it, or delete it if its node is lost, and try again"
    )]
    StillRunning(String),
    #[error(transparent)]
    Api(#[from] ApiError),
}
