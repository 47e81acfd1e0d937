//! What is the same in the pod of every database.

use pgops_kube::{ContainerResources, ImageArgs};

/// The images of database pods that do not depend on the database, and the resources of their init container.
#[derive(Clone, Debug)]
pub struct Images {
    /// Image of the instance.
    pub instance: String,
    /// `imagePullPolicy` of all containers.
    pub pull_policy: String,
    /// Pull secrets and architecture.
    pub args: ImageArgs,
    /// Image with the Patroni bundle and its proxy; none if databases have no standbys.
    pub patroni: Option<String>,
    /// Requests and limits of the init containers.
    pub install_resources: ContainerResources,
}
