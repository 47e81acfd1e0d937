//! Reviews of `PostgresVersion`s.

use kube::core::DynamicObject;
use kube::core::admission::AdmissionRequest;
use pgops_api::{PostgresVersion, matrix};

use super::verdict::{Asked, Verdict};

/// Never refused, since other tools install their catalogs too and nothing but our use of the entry
/// depends on it: its author hears what is wrong.
pub fn judge(request: &AdmissionRequest<DynamicObject>) -> Verdict {
    Verdict::Allowed(match Asked::<PostgresVersion>::read(request) {
        Ok(Asked::Create(new) | Asked::Change { new, .. }) => matrix::complaints(&new.spec),
        Ok(Asked::Delete(_) | Asked::Nothing) => Vec::new(),
        Err(Verdict::Invalid(cause) | Verdict::Forbidden(cause)) => vec![cause.message],
        Err(Verdict::Allowed(warnings)) => warnings,
    })
}
