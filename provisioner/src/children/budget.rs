//! The disruption budget of a database's pods.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use pgops_api::Postgres;

use super::metadata::{metadata, selector};

/// One pod at a time. With a single server a drain of its node succeeds, with a clean shutdown: a budget of zero
/// would block every node's maintenance until an operator finds out why.
pub fn budget(database: &Postgres) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(database, database.name_any()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(database)),
            // A pod that is not ready serves no client: during an upgrade one waits, and its eviction frees the volume.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
