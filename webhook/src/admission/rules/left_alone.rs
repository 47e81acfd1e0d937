//! Databases that pgops does not manage, and requests for them: KubeDB's operators decide about these.

use kube::runtime::reflector::ObjectRef;
use pgops_api::opsrequest::{DatabaseRef, RequestType};
use serde::Deserialize;

use crate::admission::object::Object;
use crate::admission::request::{AdmissionRequest, ReviewedKind};
use crate::cache::Caches;

/// Whether no rule is about the object. Of a changed database the stored object counts: the change that hands it over is
/// still judged.
pub fn is_left_alone(caches: &Caches, request: &AdmissionRequest<'_>) -> bool {
    let Some(object) = request.old_object.as_ref().or(request.object.as_ref()) else { return false };
    match request.kind.reviewed() {
        Some(ReviewedKind::Postgres) => !caches.manages(Some(&object.metadata.labels)),
        Some(ReviewedKind::OpsRequest) => is_for_unmanaged(caches, request, object),
        Some(ReviewedKind::PostgresVersion | ReviewedKind::Namespace | ReviewedKind::VolumeClaim) | None => {
            false
        }
    }
}

/// Whether it is a request of a type that this installation does not execute. It is admitted with a warning, and never changed.
pub fn is_for_others(caches: &Caches, request: &AdmissionRequest<'_>) -> bool {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        type_: RequestType,
    }
    let is_request = request.kind.reviewed() == Some(ReviewedKind::OpsRequest);
    let object = request.object.as_ref().filter(|_| is_request);
    let typed: Option<Typed> = object.and_then(Object::peek_spec);
    typed.is_some_and(|Typed { type_ }| !caches.executes(type_))
}

/// Whether the request's database exists and is not managed.
fn is_for_unmanaged(caches: &Caches, request: &AdmissionRequest<'_>, object: &Object<'_>) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Referring {
        database_ref: DatabaseRef,
    }
    let Some(namespace) = request.namespace.as_deref() else { return false };
    let Some(Referring { database_ref }) = object.peek_spec() else { return false };
    let database = caches.database(&ObjectRef::new(&database_ref.name).within(namespace));
    database.is_some_and(|database| !caches.manages(database.metadata.labels.as_ref()))
}
