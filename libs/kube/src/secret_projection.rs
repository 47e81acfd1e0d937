//! Some keys of a Secret as a part of a projected volume.

use k8s_openapi::api::core::v1::{KeyToPath, SecretProjection, VolumeProjection};

/// These keys, each in a file of its name. Without one of them no pod starts, unless they are `optional`.
#[must_use]
pub fn secret_projection(secret: &str, keys: &[&str], optional: bool) -> VolumeProjection {
    let item = |key: &&str| KeyToPath { key: (*key).to_owned(), path: (*key).to_owned(), mode: None };
    let projection = SecretProjection {
        name: secret.to_owned(),
        items: Some(keys.iter().map(item).collect()),
        optional: Some(optional),
    };
    VolumeProjection { secret: Some(projection), ..VolumeProjection::default() }
}
