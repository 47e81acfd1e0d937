//! The identity of a pod at the API server, for some of its containers.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector,
    ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeProjection,
};

/// Volume with the pod's identity.
pub const VOLUME_IDENTITY: &str = "identity";
/// Where Kubernetes clients look for a pod's identity.
pub const IDENTITY_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Lifetime of a token in seconds, the same that the API server gives to pods; the kubelet renews it.
const TOKEN_LIFETIME: i64 = 3607;

/// What the API server would mount into every container: token, CA certificate and namespace. For a pod whose account has
/// `automountServiceAccountToken: false`, so that only the containers that mount this volume have the identity.
#[must_use]
pub fn identity_volume() -> Volume {
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
