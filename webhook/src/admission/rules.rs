//! The rules: pure functions of the request under review and the caches.

pub mod defaults;
mod deletion;
mod kept;
mod kept_size;
mod kept_version;
mod known_version;
mod left_alone;
mod namespace;
mod ops_request;
mod postgres;
mod postgres_version;
mod problems;
mod shortened;
pub mod version_change;
mod volume_claim;

use super::decision::{Answer, Decision};
use super::request::{AdmissionRequest, ReviewedKind};
use crate::cache::Caches;
use left_alone::{is_for_others, is_left_alone};
pub use ops_request::decide_again;

/// The answer of the mutating webhook, which denies nothing: the validating webhook sees the result.
pub fn mutate(caches: &Caches, request: &AdmissionRequest<'_>) -> Answer {
    if request.is_for_subresource() || is_left_alone(caches, request) || is_for_others(caches, request) {
        return Decision::Allowed(Vec::new()).into();
    }
    let kept = kept_version::keep(caches, request).into_iter().chain(kept_size::keep(request));
    let (warnings, patch): (Vec<_>, Vec<_>) = kept.map(|kept| (kept.warning, kept.change)).unzip();
    if patch.is_empty() {
        return defaults::mutate(request);
    }
    Answer { decision: Decision::Allowed(warnings), patch }
}

/// The decision of the validating webhook.
///
/// Status writes, objects that are being deleted and changes that leave the spec unchanged always pass: a
/// webhook that denies those blocks finalizers and the deletion of namespaces.
pub fn decide(caches: &Caches, request: &AdmissionRequest<'_>) -> Decision {
    if request.is_for_subresource() || is_left_alone(caches, request) {
        return Decision::Allowed(Vec::new());
    }
    match request.kind.reviewed() {
        Some(ReviewedKind::OpsRequest) => ops_request::decide(caches, request),
        Some(ReviewedKind::Postgres) => postgres::decide(caches, request),
        Some(ReviewedKind::PostgresVersion) => postgres_version::decide(caches, request),
        Some(ReviewedKind::Namespace) => namespace::decide(caches, request),
        Some(ReviewedKind::VolumeClaim) => volume_claim::decide(caches, request),
        None => Decision::Allowed(vec![format!(
            "pgops has no rules for {} of group \"{}\", so this was not checked: remove that \
             kind from the webhook configuration",
            request.kind.kind, request.kind.group
        )]),
    }
}
