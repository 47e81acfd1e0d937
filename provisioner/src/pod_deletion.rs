//! Deletes the pod of a database's server: the StatefulSet's controller creates another one from its present template.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Preconditions};
use pgops_kube::ApiError;

use crate::context::Context;
use crate::observation::ServerPod;

/// Deletes exactly the pod that was observed, in the version that was observed. One that does not exist any more is not an
/// error.
pub async fn delete(context: &Context, namespace: &str, pod: &ServerPod) -> Result<(), ApiError> {
    let observed =
        Preconditions { uid: Some(pod.uid.clone()), resource_version: pod.resource_version.clone() };
    delete_named(context, namespace, &pod.name, observed).await
}

/// Deletes the pod of that name, if it is still as was observed.
pub async fn delete_named(
    context: &Context,
    namespace: &str,
    name: &str,
    observed: Preconditions,
) -> Result<(), ApiError> {
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let params = DeleteParams::default().preconditions(observed);
    match pods.delete(name, &params).await.map_err(ApiError::on::<Pod>("delete", name)) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
