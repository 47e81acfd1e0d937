//! The identity of one upgrade's worker: a `ServiceAccount` of its own, whose token only the runner mounts.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::Worker;
use super::metadata::rights_metadata;

impl Worker {
    /// The worker's identity.
    pub fn service_account(&self) -> ServiceAccount {
        ServiceAccount {
            metadata: rights_metadata(&self.plan),
            // Given to one container of the pod, by its own volume.
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        }
    }
}
