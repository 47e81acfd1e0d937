//! A changed `spec.version` that a request carries out: the version stays as it is until then.
//!
//! GitOps tools apply a commit as a whole, first as a dry run, and again whenever the cluster differs: if the version of a
//! database were refused, nothing of the commit would be applied, the request included, and later not the outdated version
//! of another branch either. The version never changes past the matrix: it is put back to the stored one, with a warning.

use kube::ResourceExt;
use pgops_api::PostgresOpsRequest;
use pgops_api::admission::{NamespacedName, requested_scope};
use pgops_api::matrix::BaseOsChange;
use pgops_api::names::{ANNOTATION_VERSION_CHANGE, BY_REQUEST, is_worker_user};
use pgops_api::opsrequest::Phase;
use pgops_api::plan::Scope;
use serde::Deserialize;
use serde_json::json;

use super::defaults::set;
use super::kept::{Kept, changed_database};
use super::version_change::upgraded_from;
use crate::admission::object::Object;
use crate::admission::request::AdmissionRequest;
use crate::cache::Caches;

#[derive(Deserialize)]
struct Versioned {
    version: String,
}

/// The answer that puts the version back: if a request changes it or has changed it, or if one is to be applied with the
/// object, as the annotation says or the tool lets expect. A user of kubectl gets an error instead.
/// Of all other changes the validating webhook decides.
pub fn keep(caches: &Caches, request: &AdmissionRequest<'_>) -> Option<Kept> {
    let (new, old) = changed_database(request)?;
    let version = |object: &Object<'_>| object.peek_spec::<Versioned>().map(|spec| spec.version);
    let (from, to) = (version(old)?, version(new)?);
    // A worker's write is never changed: its server runs the new version. If it is not known, the other webhook refuses it.
    let namespace = request.namespace.as_deref()?;
    if from == to || new.overrides_guards() || is_worker_user(namespace, &request.user_info.username) {
        return None;
    }
    let database = NamespacedName { namespace, name: new.metadata.name.as_deref()? };
    let by_request =
        request.is_from_gitops_tool() || new.annotation(ANNOTATION_VERSION_CHANGE) == Some(BY_REQUEST);
    let warning = why_kept(caches, &database, &from, &to, by_request)?;
    Some(Kept { warning, change: set(["spec", "version"], json!(from)) })
}

/// The warning, if the version is kept.
fn why_kept(
    caches: &Caches,
    database: &NamespacedName<'_>,
    from: &str,
    to: &str,
    by_request: bool,
) -> Option<String> {
    let is_upgrade = |request: &PostgresOpsRequest| {
        request.scope() == Scope::Upgrade
            && (request.phase() != Phase::Pending || requested_scope(request) == Ok(Scope::Upgrade))
    };
    let active = caches.active(database.namespace, database.name);
    if let Some(request) = active.iter().find(|it| it.target() == Some(to) && is_upgrade(it)) {
        return Some(format!(
            "spec.version of {database} stays {from} for now: PostgresOpsRequest {} ({:?}) changes it to {to} once the data \
             has that version",
            request.name_any(),
            request.phase()
        ));
    }
    if let Some(request) = upgraded_from(caches, database, to) {
        return Some(format!(
            "spec.version of {database} stays {from}: {to} is outdated, since PostgresOpsRequest {} has upgraded the \
             database; set version: \"{from}\" in the manifest",
            request.name_any()
        ));
    }
    // What the matrix refuses no request will do: the user must know now.
    let catalog = caches.catalog();
    let is_possible =
        by_request && catalog.with_base_os_change(BaseOsChange::Accepted).decide(from, to).is_ok();
    is_possible.then(|| {
        format!(
            "spec.version of {database} stays {from}: no active PostgresOpsRequest changes it to {to}; apply one, or set the \
             version back"
        )
    })
}
