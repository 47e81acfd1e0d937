//! The images of database pods that do not depend on the database.

use pgops_kube::ImageArgs;

/// What is the same for the images of every database.
#[derive(Clone, Debug)]
pub struct Images {
    /// Image of the instance.
    pub instance: String,
    /// `imagePullPolicy` of all containers.
    pub pull_policy: String,
    /// Pull secrets and architecture.
    pub args: ImageArgs,
}
