//! Which fields of an object the cache keeps.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use pgops_api::names::{ANNOTATION_DRY_RUN, LABEL_MANAGED};
use pgops_api::opsrequest::{CONDITION_ACKNOWLEDGED, CONDITION_DRY_RUN};
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
        self.spec.configuration = None;
        self.spec.pod_template = None;
        self.spec.tls = None;
        if let Some(status) = &mut self.status {
            status.conditions.retain(|condition| condition.type_ == CONDITION_PAUSED);
            status.conditions.shrink_to_fit();
        }
    }
}

impl Prune for PostgresOpsRequest {
    fn prune(&mut self) {
        self.spec.vertical_scaling = None;
        self.spec.volume_expansion = None;
        self.spec.configuration = None;
        self.spec.authentication = None;
        if let Some(status) = &mut self.status {
            let kept = [CONDITION_ACKNOWLEDGED, CONDITION_DRY_RUN];
            status.conditions.retain(|condition| kept.contains(&condition.type_.as_str()));
            status.conditions.shrink_to_fit();
        }
    }
}

impl Prune for PostgresVersion {
    fn prune(&mut self) {
        self.metadata.uid = None;
    }
}

/// Drops most labels and annotations, managed fields and whatever else of the metadata no decision reads.
pub fn prune_metadata(metadata: &mut ObjectMeta) {
    let annotations = metadata.annotations.take().and_then(|mut all| all.remove_entry(ANNOTATION_DRY_RUN));
    let labels = metadata.labels.take().and_then(|mut all| all.remove_entry(LABEL_MANAGED));
    *metadata = ObjectMeta {
        labels: labels.map(|kept| [kept].into()),
        annotations: annotations.map(|kept| [kept].into()),
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        uid: metadata.uid.take(),
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        ..ObjectMeta::default()
    };
}
