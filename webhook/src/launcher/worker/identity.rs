//! The identity of one upgrade's worker: a `ServiceAccount` of its own, whose token only the runner mounts.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector,
    ProjectedVolumeSource, ServiceAccount, ServiceAccountTokenProjection, Volume, VolumeProjection,
};

use super::Worker;
use super::metadata::rights_metadata;

/// Volume with the worker's identity.
pub(super) const VOLUME_IDENTITY: &str = "identity";
/// Where Kubernetes clients look for a pod's identity.
pub(super) const IDENTITY_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Lifetime of a token in seconds, the same that the API server gives to pods; the kubelet renews it.
const TOKEN_LIFETIME: i64 = 3607;

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

/// What the API server would mount into every container: token, CA certificate and namespace.
pub(super) fn identity_volume() -> Volume {
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            audience: None,
            expiration_seconds: Some(TOKEN_LIFETIME),
            path: "token".to_owned(),
        }),
        ..VolumeProjection::default()
    };
    let ca_certificate = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: "kube-root-ca.crt".to_owned(),
            items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let namespace_file = DownwardAPIVolumeFile {
        path: "namespace".to_owned(),
        field_ref: Some(ObjectFieldSelector {
            api_version: None,
            field_path: "metadata.namespace".to_owned(),
        }),
        ..DownwardAPIVolumeFile::default()
    };
    let namespace = VolumeProjection {
        downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace_file]) }),
        ..VolumeProjection::default()
    };
    Volume {
        name: VOLUME_IDENTITY.to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: None,
            sources: Some(vec![token, ca_certificate, namespace]),
        }),
        ..Volume::default()
    }
}
