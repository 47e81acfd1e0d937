//! Which fields of an object the cache keeps.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use pgops_api::postgres::CONDITION_PAUSED;
use pgops_api::{Postgres, PostgresOpsRequest, PostgresVersion};

/// Drops fields that no decision reads: with them, thousands of databases would need hundreds of megabytes.
pub trait Prune: Resource<DynamicType = ()> + Clone + 'static {
    /// Drops the unread fields that only this kind has.
    fn prune(&mut self);
}

impl Prune for Postgres {
    fn prune(&mut self) {
        self.metadata.uid = None;
        self.spec.storage = None;
        self.spec.auth_secret = None;
        self.spec.config_secret = None;
        self.spec.pod_template = None;
        if let Some(status) = &mut self.status {
            status.conditions.retain(|condition| condition.type_ == CONDITION_PAUSED);
            status.conditions.shrink_to_fit();
        }
    }
}

impl Prune for PostgresOpsRequest {
    fn prune(&mut self) {
        if let Some(status) = &mut self.status {
            status.conditions = Vec::new();
        }
    }
}

impl Prune for PostgresVersion {
    fn prune(&mut self) {
        self.metadata.uid = None;
    }
}

/// Drops labels, annotations, managed fields and whatever else of the metadata no decision reads.
pub fn prune_metadata(metadata: &mut ObjectMeta) {
    *metadata = ObjectMeta {
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        uid: metadata.uid.take(),
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        ..ObjectMeta::default()
    };
}
