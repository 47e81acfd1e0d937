//! A field of a `Postgres` that stays as it is stored although a manifest says something else.

use json_patch::PatchOperation;
use kube::core::admission::Operation;

use crate::admission::object::Object;
use crate::admission::request::{AdmissionRequest, ReviewedKind};

/// What puts the field back, and what the user is told.
pub struct Kept {
    pub warning: String,
    pub change: PatchOperation,
}

/// The new and the old object of a review in which the spec of a database changes.
pub fn changed_database<'r, 'a>(
    request: &'r AdmissionRequest<'a>,
) -> Option<(&'r Object<'a>, &'r Object<'a>)> {
    let is_update = request.operation == Operation::Update;
    let is_database = request.kind.reviewed() == Some(ReviewedKind::Postgres);
    let new = request.object.as_ref().filter(|new| is_update && is_database && !new.is_being_deleted())?;
    let old = request.old_object.as_ref()?;
    // Most updates leave the spec unchanged.
    (new.raw_spec() != old.raw_spec()).then_some((new, old))
}
