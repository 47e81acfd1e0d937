//! `spec.version` describes the data, so it changes together with the data: the worker of an upgrade sets it.

use std::sync::Arc;

use kube::ResourceExt;
use pgops_api::admission::NamespacedName;
use pgops_api::names::{ANNOTATION_OVERRIDE, ANNOTATION_VERSION_CHANGE, BY_REQUEST, worker_user};
use pgops_api::opsrequest::Phase;
use pgops_api::plan::Scope;
use pgops_api::{Postgres, PostgresOpsRequest};

use super::known_version::check_version;
use crate::admission::decision::{Cause, Decision};
use crate::cache::Caches;

/// Reasons of the denials of this rule, of which a worker has none.
pub const REASONS: [&str; 3] = [REQUEST_ACTIVE, VERSION_REVERTED, VERSION_GUARDED];

const REQUEST_ACTIVE: &str = "RequestActive";
const VERSION_REVERTED: &str = "VersionReverted";
const VERSION_GUARDED: &str = "VersionGuarded";

/// Denies a change of the version by anyone but the worker of an active request, unless the object has the
/// override annotation.
pub fn decide(caches: &Caches, user: &str, new: &Postgres, old: &Postgres) -> Result<Vec<String>, Decision> {
    let database = NamespacedName::of(new);
    let from = old.spec.version.as_str();
    let to = new.spec.version.as_str();
    let active = caches.active(database.namespace, database.name);
    // Its server already runs the new version: not even a missing catalog entry may block the change.
    if active.iter().any(|request| is_worker_of(request, user)) {
        return Ok(Vec::new());
    }
    if new.overrides_guards() {
        let mut warnings = check_version(&caches.catalog(), new)?;
        warnings.push(format!(
            "spec.version of {database} was changed manually from {from} to {to}, which does not convert the data; remove \
             the annotation {ANNOTATION_OVERRIDE} afterwards"
        ));
        return Ok(warnings);
    }
    let (reason, message) = if let Some(request) = active.iter().find(|request| request.updates_version()) {
        (REQUEST_ACTIVE, request_active(request, &database))
    } else if let Some(request) = upgraded_from(caches, &database, to) {
        (VERSION_REVERTED, reverted(&request, &database, from, to))
    } else {
        (VERSION_GUARDED, use_a_request(caches, old, &database, to))
    };
    Err(Decision::Forbidden(Cause { reason, message, field: "spec.version".into() }))
}

/// Whether the user is the worker of the request: only one that changes the version has a worker.
pub fn is_worker_of(request: &PostgresOpsRequest, user: &str) -> bool {
    if !request.updates_version() {
        return false;
    }
    let namespace = request.metadata.namespace.as_deref().unwrap_or_default();
    request.uid().is_some_and(|uid| worker_user(namespace, &request.name_any(), &uid) == user)
}

/// The latest upgrade of the database from that version.
pub(super) fn upgraded_from(
    caches: &Caches,
    database: &NamespacedName<'_>,
    version: &str,
) -> Option<Arc<PostgresOpsRequest>> {
    let done = caches.requests_where(|request| {
        request.metadata.namespace.as_deref() == Some(database.namespace)
            && request.spec.database_ref.name == database.name
            && request.updates_version()
            && request.phase() == Phase::Successful
            && request.scope() == Scope::Upgrade
            && request.from_version() == Some(version)
            && request.target() != Some(version)
    });
    done.into_iter().max_by_key(|request| request.creation_timestamp())
}

fn request_active(request: &PostgresOpsRequest, database: &NamespacedName<'_>) -> String {
    format!(
        "spec.version of {database} is set by PostgresOpsRequest {} ({:?}, to {}) once the data has that version: leave \
         spec.version unchanged until the request has ended (kubectl get pgops {0} -n {} -w)",
        request.name_any(),
        request.phase(),
        request.target().unwrap_or("its target"),
        database.namespace
    )
}

fn reverted(request: &PostgresOpsRequest, database: &NamespacedName<'_>, has: &str, wanted: &str) -> String {
    format!(
        "spec.version {wanted} is outdated: PostgresOpsRequest {} has upgraded {database}, whose data now has version \
         {has}; set version: \"{has}\" in the manifest, in Git if it is applied from there",
        request.name_any()
    )
}

/// The alternative to the change: a request, if the matrix allows the upgrade.
fn use_a_request(caches: &Caches, old: &Postgres, database: &NamespacedName<'_>, to: &str) -> String {
    let from = old.spec.version.as_str();
    let rule = format!("spec.version of {database} must stay {from} until an upgrade has converted the data");
    if !old.was_initialized() {
        return format!(
            "{rule}. {database} was never initialised: to start with another version, delete it and create it again"
        );
    }
    let catalog = caches.catalog();
    match catalog.decide(from, to) {
        Ok(_) => format!(
            "{rule}. The catalog allows {from} → {to}: leave spec.version unchanged and apply the request below; if a GitOps \
             tool applies both, annotate the Postgres with {ANNOTATION_VERSION_CHANGE}: {BY_REQUEST}\n{}",
            manifest(database, to)
        ),
        Err(refusal) => {
            format!(
                "{rule}, and the catalog does not allow this upgrade: {}",
                catalog.explain(&refusal, &database.to_string())
            )
        }
    }
}

/// A request to paste; the names are quoted because they may look like numbers.
fn manifest(database: &NamespacedName<'_>, to: &str) -> String {
    let NamespacedName { namespace, name } = database;
    format!(
        "apiVersion: ops.kubedb.com/v1alpha1\n\
         kind: PostgresOpsRequest\n\
         metadata: {{ name: \"{name}-{to}\", namespace: \"{namespace}\" }}\n\
         spec: {{ type: UpdateVersion, databaseRef: {{ name: \"{name}\" }}, updateVersion: {{ targetVersion: \"{to}\" }} }}"
    )
}
