//! The pods of a database by the role that Patroni has labelled them with.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use pgops_api::names;

use crate::namespace::Namespace;

/// Name of the pod with the primary.
pub(crate) async fn primary(ns: &Namespace, database: &str) -> anyhow::Result<String> {
    let pods = pods(ns, database, names::ROLE_PRIMARY).await?;
    ensure!(pods.len() == 1, "{database} has primaries {pods:?}");
    Ok(pods.concat())
}

/// Names of the pods with this role, in their order.
pub(crate) async fn pods(ns: &Namespace, database: &str, role: &str) -> anyhow::Result<Vec<String>> {
    let selector = format!("{}={database},{}={role}", names::LABEL_INSTANCE, names::LABEL_ROLE);
    let pods = ns.api::<Pod>().list(&ListParams::default().labels(&selector)).await?;
    let mut names: Vec<_> = pods.items.iter().map(ResourceExt::name_any).collect();
    names.sort();
    Ok(names)
}
