//! Why a call to the API server failed.

/// The API server refused, or was unavailable for too long; or an object is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("failed to {what}")]
    Api {
        /// What was requested, with the object's name.
        what: String,
        #[source]
        source: Box<kube::Error>,
    },
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

/// Names the call that failed.
pub(super) fn api(what: &str) -> impl FnOnce(kube::Error) -> ClusterError {
    let what = what.to_owned();
    move |source| ClusterError::Api { what, source: Box::new(source) }
}
