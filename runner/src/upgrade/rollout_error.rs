//! Why the pods of a database with standbys are not replaced.

use pgops_api::rollout::Obstacle;

/// Why the pods of a database with standbys are not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// A pod of the new image does not come up, for example.
    #[error(transparent)]
    Stuck(Obstacle),
    /// Patroni has removed the request, or has not acted on it.
    #[error(
        "Patroni has not made the server in pod {to} the primary, though it was asked {attempts} times: the log of container \
         postgres in pod {from} says what it refuses, such as a standby that is not synchronous or cannot be reached at port 8010"
    )]
    Refused {
        /// Pod of the primary.
        from: String,
        /// Pod of the standby.
        to: String,
        attempts: u32,
    },
}
