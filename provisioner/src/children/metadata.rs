//! Labels and metadata of every child.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::{Resource, ResourceExt};
use pgops_api::{Postgres, names};

/// The labels of every child, which are also the selector of its pods.
pub fn labels(database: &str) -> BTreeMap<String, String> {
    [
        (names::LABEL_NAME, names::LABEL_NAME_VALUE),
        (names::LABEL_INSTANCE, database),
        (names::LABEL_MANAGED_BY, names::LABEL_MANAGED_BY_VALUE),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Annotations of what outlives the workload and so has no owner: Argo CD takes the label with the name of the database for
/// that of an application of the same name, and would delete what the application's repository does not have.
pub fn not_pruned() -> BTreeMap<String, String> {
    [
        ("argocd.argoproj.io/compare-options", "IgnoreExtraneous"),
        ("argocd.argoproj.io/sync-options", "Prune=false"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Metadata of a child called `name`.
pub fn metadata(database: &Postgres, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: database.namespace(),
        labels: Some(labels(&database.name_any())),
        owner_references: database.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Selects the pods of a database.
pub fn selector(database: &Postgres) -> LabelSelector {
    LabelSelector { match_labels: Some(labels(&database.name_any())), ..LabelSelector::default() }
}
