//! Why a call to the API server failed.

use pgops_api::ForeignObject;
use pgops_kube::ApiError;
use pgops_kube::connect::ConnectError;

/// The API server refused, or was unavailable for too long; or an object is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It was not changed.
    #[error(transparent)]
    Foreign(#[from] ForeignObject),
    /// What the plan was made for no longer exists.
    #[error("{kind} {name} was deleted and created again since the upgrade was planned: apply a new request")]
    Replaced { kind: &'static str, name: String },
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

impl ClusterError {
    /// Whether an object has the name of one of the database's, and is not its own.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign(_))
    }

    /// Whether an object does not exist.
    fn is_missing(&self) -> bool {
        match self {
            Self::Api(error) => error.is_not_found(),
            Self::Missing { .. } => true,
            _ => false,
        }
    }

    /// Whether another attempt at the same call may succeed without an operator.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Held { .. } | Self::Foreign(_) | Self::Replaced { .. } => false,
            Self::Api(_) | Self::Connect(_) | Self::PodBroken { .. } | Self::Missing { .. } => true,
        }
    }
}

/// What was found or changed; nothing if the object does not exist.
pub fn ignore_missing<T>(result: Result<T, ClusterError>) -> Result<Option<T>, ClusterError> {
    match result {
        Err(error) if error.is_missing() => Ok(None),
        found => found.map(Some),
    }
}
