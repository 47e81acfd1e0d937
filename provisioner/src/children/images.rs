//! The images of database pods that do not depend on the database.

/// Images that are the same for every database.
#[derive(Clone, Debug)]
pub struct Images {
    /// Image of the instance.
    pub instance: String,
    /// `imagePullPolicy` of all containers.
    pub pull_policy: String,
}
