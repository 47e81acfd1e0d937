//! The deletion of a namespace deletes its databases with their data: pods and volume claims first, whatever the deletion
//! policy of the `Postgres` is, which then can only keep the namespace from ending.

use pgops_api::Postgres;
use pgops_api::postgres::DeletionPolicy;

use super::shortened::shortened;
use crate::admission::decision::{Cause, Decision};
use crate::admission::request::AdmissionRequest;
use crate::cache::Caches;

/// A namespace with a protected database must not be deleted.
pub fn decide(caches: &Caches, request: &AdmissionRequest<'_>) -> Decision {
    let Some(namespace) = request.deleted().and_then(|old| old.metadata.name.as_deref()) else {
        return Decision::Allowed(Vec::new());
    };
    let is_protected = |database: &Postgres| {
        database.metadata.namespace.as_deref() == Some(namespace)
            && database.deletion_policy() == DeletionPolicy::DoNotTerminate
    };
    let databases = caches.databases_where(is_protected);
    let mut names: Vec<_> = databases.iter().filter_map(|database| database.metadata.name.clone()).collect();
    if names.is_empty() {
        return Decision::Allowed(Vec::new());
    }
    names.sort();
    let first = names[0].clone();
    Decision::Forbidden(Cause {
        reason: "DoNotTerminate",
        message: format!(
            "namespace {namespace} has databases with deletionPolicy DoNotTerminate, and deleting it would delete their \
             data: Postgres {}. To delete it anyway, first give each of them another policy, for example kubectl patch pg \
             {first} -n {namespace} --type merge -p '{{\"spec\":{{\"deletionPolicy\":\"Delete\"}}}}'; no policy keeps \
             volume claims when their namespace is deleted",
            shortened(names)
        ),
        field: "metadata.name".into(),
    })
}
