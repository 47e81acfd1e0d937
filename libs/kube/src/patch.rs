//! Merge patches that apply only to the version of the object that was read.
//!
//! The API server refuses such a patch with a conflict if another client has changed the object meanwhile. What was
//! decided on an outdated object is then never written: the object is read again, and decided on from scratch.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api_error::ApiError;

/// Conditions a merge patch on the `resourceVersion` of the object that was read.
#[must_use]
pub fn conditioned(observed: &impl Resource, mut change: Value) -> Value {
    change["metadata"]["resourceVersion"] = json!(observed.meta().resource_version);
    change
}

/// Changes an object, unless it has changed since it was read. `verb` is for the error.
pub async fn patch<K>(
    api: &Api<K>,
    verb: &'static str,
    observed: &K,
    params: &PatchParams,
    change: Value,
) -> Result<K, ApiError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let patch = Patch::Merge(conditioned(observed, change));
    api.patch(&observed.name_any(), params, &patch).await.map_err(ApiError::on_object(verb, observed))
}

/// Changes the status of an object, unless the object has changed since it was read. `verb` is for the error.
pub async fn patch_status<K>(
    api: &Api<K>,
    verb: &'static str,
    observed: &K,
    params: &PatchParams,
    change: Value,
) -> Result<K, ApiError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let patch = Patch::Merge(conditioned(observed, change));
    api.patch_status(&observed.name_any(), params, &patch).await.map_err(ApiError::on_object(verb, observed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;

    #[test]
    fn patch_names_the_version_that_was_read() {
        let mut secret = Secret::default();
        secret.metadata.resource_version = Some("7".to_owned());
        let change = json!({ "metadata": { "labels": { "a": "b" } } });
        assert_eq!(
            conditioned(&secret, change),
            json!({ "metadata": { "labels": { "a": "b" }, "resourceVersion": "7" } })
        );
        assert_eq!(
            conditioned(&secret, json!({ "status": {} })),
            json!({ "status": {}, "metadata": { "resourceVersion": "7" } })
        );
    }
}
