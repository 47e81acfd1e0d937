//! The StatefulSet of a database.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetOrdinals, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use pgops_api::{Postgres, names};

use super::images::Images;
use super::metadata::{labels, metadata, not_pruned, selector};
use super::pod::pod;
use crate::design::{Design, Storage};

pub fn statefulset(database: &Postgres, design: &Design, images: &Images) -> StatefulSet {
    let name = database.name_any();
    // The request that holds a pause decides when a pod is started.
    let has_no_pod = database.spec.halted.unwrap_or_default() || database.paused().is_some();
    StatefulSet {
        metadata: workload_metadata(database, design),
        spec: Some(StatefulSetSpec {
            replicas: Some(if has_no_pod { 0 } else { database.replicas() }),
            selector: selector(database),
            service_name: Some(names::pods_service(&name)),
            // With OrderedReady, a pod that waits would block the creation of the pod that it waits for.
            pod_management_policy: Some("Parallel".to_owned()),
            // Pods are replaced by whichever component knows when it is safe, never by a change of the template.
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(database, design)),
                spec: Some(pod(database, design, images)),
            },
            volume_claim_templates: claims(database, design),
            // Explicit for the same reason as that policy: another first pod would get another volume.
            ordinals: Some(StatefulSetOrdinals { start: Some(0) }),
            persistent_volume_claim_retention_policy: Some(retention_policy()),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// With a record of the version that the image was chosen for: the catalog may change.
fn workload_metadata(database: &Postgres, design: &Design) -> ObjectMeta {
    let record = [
        (names::ANNOTATION_VERSION.to_owned(), database.spec.version.clone()),
        (names::ANNOTATION_IMAGE.to_owned(), design.image.image.clone()),
    ];
    ObjectMeta { annotations: Some(record.into()), ..metadata(database, database.name_any()) }
}

/// Explicit, so that it is repaired if another client has set it: upgrades and `spec.halted` scale to 0, and no claim may
/// be deleted by that. Which ones are deleted with the database is the deletion policy's affair.
fn retention_policy() -> StatefulSetPersistentVolumeClaimRetentionPolicy {
    let retain = || Some("Retain".to_owned());
    StatefulSetPersistentVolumeClaimRetentionPolicy { when_deleted: retain(), when_scaled: retain() }
}

/// The role is a label in the template as long as there is one server, which is the primary. Otherwise Patroni sets it, and no user.
fn pod_metadata(database: &Postgres, design: &Design) -> ObjectMeta {
    let user = &design.pod.metadata;
    let mut pod_labels = user.labels.clone();
    pod_labels.extend(labels(&database.name_any()));
    if design.standbys.is_some() {
        pod_labels.remove(names::LABEL_ROLE);
        pod_labels.insert(names::LABEL_HA.to_owned(), design.scope(database));
    } else {
        pod_labels.insert(names::LABEL_ROLE.to_owned(), names::ROLE_PRIMARY.to_owned());
    }
    let annotations = Some(user.annotations.clone()).filter(|annotations| !annotations.is_empty());
    ObjectMeta { labels: Some(pod_labels), annotations, ..ObjectMeta::default() }
}

fn claims(database: &Postgres, design: &Design) -> Option<Vec<PersistentVolumeClaim>> {
    let spec = match &design.storage {
        Storage::Ephemeral(_) => return None,
        Storage::Existing(claims) => return Some(claims.clone()),
        Storage::Claim(spec) => spec.as_ref().clone(),
    };
    let access_modes = spec.access_modes.clone().filter(|modes| !modes.is_empty());
    let access_modes = access_modes.unwrap_or_else(|| vec!["ReadWriteOnce".to_owned()]);
    Some(vec![PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(names::VOLUME_DATA.to_owned()),
            // The claims are found by these labels when the deletion policy removes them, and told from those of other
            // users by the annotation.
            labels: Some(labels(&database.name_any())),
            annotations: Some(claim_record(database, design)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec { access_modes: Some(access_modes), ..spec }),
        status: None,
    }])
}

/// What outlives the workload and the database together with the data.
fn claim_record(database: &Postgres, design: &Design) -> BTreeMap<String, String> {
    let secret = database.created_auth_secret().map(ToOwned::to_owned);
    let record = [
        (names::ANNOTATION_DATABASE_UID, database.uid()),
        (names::ANNOTATION_AUTH_SECRET_UID, secret),
        (names::ANNOTATION_RUN_AS_USER, Some(design.uid.to_string())),
    ];
    let record = record.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    not_pruned().into_iter().chain(record).collect()
}
