//! Metadata of everything that is created for one request.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use pgops_api::{PostgresOpsRequest, UpgradePlan, names};

/// Name, labels and owner of the Job of one request.
///
/// The owner does not wait for its children (`blockOwnerDeletion` is off): when a request is deleted in the
/// foreground, the garbage collector would otherwise delete each Job that is created to return its database
/// to service.
pub fn metadata(plan: &UpgradePlan) -> ObjectMeta {
    let UpgradePlan { request, request_uid, .. } = plan;
    ObjectMeta {
        name: Some(names::job(request, request_uid)),
        namespace: Some(plan.namespace.clone()),
        labels: Some(labels(plan)),
        // A label value has at most 63 characters; the name may be longer.
        annotations: Some([(names::LABEL_REQUEST.to_owned(), request.clone())].into()),
        owner_references: Some(vec![OwnerReference {
            api_version: PostgresOpsRequest::api_version(&()).into_owned(),
            kind: PostgresOpsRequest::kind(&()).into_owned(),
            name: request.clone(),
            uid: request_uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(false),
        }]),
        ..ObjectMeta::default()
    }
}

/// The same for the worker's service account and its rights, under the name by which the admission policies of the chart
/// recognize workers.
pub(super) fn rights_metadata(plan: &UpgradePlan) -> ObjectMeta {
    ObjectMeta { name: Some(names::worker(&plan.request, &plan.request_uid)), ..metadata(plan) }
}

/// Labels of the Job, its pods and the objects that they need.
pub(super) fn labels(plan: &UpgradePlan) -> BTreeMap<String, String> {
    [
        (names::LABEL_REQUEST.to_owned(), names::request_label(&plan.request, &plan.request_uid)),
        // The same for all requests: the workers of a database are listed by it.
        (names::LABEL_DATABASE.to_owned(), names::label(&plan.database).to_owned()),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::worker;

    #[test]
    fn long_name_is_shortened_in_labels_only() {
        let mut worker = worker("13.16", "17.11");
        worker.plan.request = "o".repeat(200);
        let metadata = metadata(&worker.plan);
        assert!(metadata.labels.unwrap()[names::LABEL_REQUEST].len() <= 63);
        assert_eq!(metadata.annotations.unwrap()[names::LABEL_REQUEST].len(), 200);
    }
}
