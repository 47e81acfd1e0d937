//! Rules for `Postgres` objects.

use pgops_api::Postgres;
use pgops_api::postgres::STORAGE_TYPE_IS_IMMUTABLE;
use pgops_api::spec_check::{SpecProblem, change_problems, change_warnings, spec_problems, spec_warnings};
use pgops_api::spec_fields::{FieldFindings, changed_field_findings, field_findings};

use super::deletion::DeletionPolicies;
use super::known_version::check_version;
use super::problems::refuse;
use super::{deletion, version_change};
use crate::admission::decision::{Cause, Decision};
use crate::admission::object::Object;
use crate::admission::operation::Operation;
use crate::admission::request::AdmissionRequest;
use crate::cache::Caches;

/// A new database must be able to run, and a change must not prevent that; what it requests must happen; its version
/// changes only together with its data; one that is protected or being upgraded must not be deleted.
pub fn decide(caches: &Caches, request: &AdmissionRequest<'_>) -> Decision {
    let fields = changed_fields(request);
    let decision = match Operation::<Postgres>::parse(request) {
        Ok(Operation::Create(new)) => create(caches, &new, fields.refused),
        Ok(Operation::Update { new, old }) => update(caches, request, &new, &old, fields.refused),
        Ok(Operation::Delete(old)) => deletion::decide(caches, request, &old),
        // Fields that pgops does not read may have changed.
        Ok(Operation::Irrelevant) => refuse(fields.refused).map(|()| Vec::new()),
        Err(unreadable) => Err(two_deletion_policies(request).map_or(unreadable, Decision::Invalid)),
    };
    decision.map_or_else(
        |denied| denied,
        |mut warnings| {
            warnings.extend(fields.warnings);
            Decision::Allowed(warnings)
        },
    )
}

/// The findings about fields that are new or have changed.
fn changed_fields(request: &AdmissionRequest<'_>) -> FieldFindings {
    let new = request.object.as_ref().filter(|new| !new.is_being_deleted());
    let Some(new) = new else { return FieldFindings::default() };
    let old = request.old_object.as_ref();
    // Most updates leave the spec unchanged, and parsing it is most of the work.
    if old.is_some_and(|old| old.raw_spec() == new.raw_spec()) {
        return FieldFindings::default();
    }
    let Some(new) = new.peek_spec() else { return FieldFindings::default() };
    match old.and_then(Object::peek_spec) {
        Some(old) => changed_field_findings(&new, &old),
        None => field_findings(&new),
    }
}

/// An object that sets the field under both names cannot even be parsed.
fn two_deletion_policies(request: &AdmissionRequest<'_>) -> Option<Cause> {
    let policies: DeletionPolicies = request.object.as_ref()?.peek_spec()?;
    policies.deletion_policy.and(policies.termination_policy).map(|_| Cause {
        reason: "TwoDeletionPolicies",
        message: "spec.terminationPolicy: deprecated alias of spec.deletionPolicy, and both are set: \
                  keep only spec.deletionPolicy"
            .to_owned(),
        field: "spec.terminationPolicy".into(),
    })
}

fn create(caches: &Caches, new: &Postgres, fields: Vec<SpecProblem>) -> Result<Vec<String>, Decision> {
    let mut warnings = check_version(&caches.catalog(), new)?;
    refuse(spec_problems(new, caches.standbys()).into_iter().chain(fields).collect())?;
    warnings.extend(spec_warnings(new));
    Ok(warnings)
}

fn update(
    caches: &Caches,
    request: &AdmissionRequest<'_>,
    new: &Postgres,
    old: &Postgres,
    fields: Vec<SpecProblem>,
) -> Result<Vec<String>, Decision> {
    if new.storage_type() != old.storage_type() {
        return Err(Decision::Invalid(Cause {
            reason: "Immutable",
            message: format!("spec.storageType: {STORAGE_TYPE_IS_IMMUTABLE}"),
            field: "spec.storageType".into(),
        }));
    }
    refuse(change_problems(new, old, caches.standbys()).into_iter().chain(fields).collect())?;
    let mut warnings = change_warnings(new, old);
    if new.spec.version != old.spec.version {
        warnings.extend(version_change::decide(caches, &request.user_info.username, new, old)?);
    }
    Ok(warnings)
}
