//! Reads the pods of a database with standbys.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use pgops_api::{Owner, Postgres, names};
use pgops_kube::ApiError;

use crate::context::Context;

/// All pods of the workload. The right to list them is granted only where standbys are enabled.
pub async fn member_pods(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
) -> Result<Vec<Pod>, ApiError> {
    let name = database.name_any();
    let selector = format!("{}={name},{}", names::LABEL_INSTANCE, names::LABEL_HA);
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &database.namespace().unwrap_or_default());
    let params = ListParams::default().labels(&selector);
    let found = pods.list(&params).await.map_err(ApiError::on::<Pod>("list", name))?;
    let owner = Owner::of(workload);
    Ok(found.items.into_iter().filter(|pod| owner.owns(&pod.metadata)).collect())
}
