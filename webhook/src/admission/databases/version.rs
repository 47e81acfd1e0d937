//! `spec.version` says what the data is, so it changes with the data: the worker of an upgrade sets it.

use kube::ResourceExt;
use pgops_api::admission::NamespacedName;
use pgops_api::names::{ANNOTATION_OVERRIDE, worker_user};
use pgops_api::opsrequest::Phase;
use pgops_api::{Postgres, PostgresOpsRequest};

use super::check_version;
use crate::admission::verdict::{Cause, Verdict};
use crate::cache::Caches;

/// Another version by anyone but the worker of an active request is refused, unless the object carries the
/// override.
pub fn judge(caches: &Caches, user: &str, new: &Postgres, old: &Postgres) -> Result<Vec<String>, Verdict> {
    let place = NamespacedName::of(new);
    let (from, to) = (old.spec.version.as_str(), new.spec.version.as_str());
    let active = caches.active(place.namespace, place.name);
    // Its server runs the version already: not even a catalog without the entry may stand in its way.
    if active.iter().any(|request| is_worker_of(request, user)) {
        return Ok(Vec::new());
    }
    if new.overrides_guards() {
        let mut warnings = check_version(&caches.catalog(), new)?;
        warnings.push(format!(
            "spec.version of {place} was changed by hand, {from} to {to}: that converts no data; take the annotation \
             {ANNOTATION_OVERRIDE} away afterwards"
        ));
        return Ok(warnings);
    }
    let (reason, message) = if let Some(request) = active.first() {
        ("RequestActive", at_work(request, &place))
    } else if let Some(request) = upgraded_from(caches, &place, to) {
        ("VersionReverted", reverted(&request, &place, from, to))
    } else {
        ("VersionGuarded", instead(caches, old, &place, to))
    };
    Err(Verdict::Forbidden(Cause { reason, message, field: "spec.version".into() }))
}

fn is_worker_of(request: &PostgresOpsRequest, user: &str) -> bool {
    let namespace = request.metadata.namespace.as_deref().unwrap_or_default();
    request.uid().is_some_and(|uid| worker_user(namespace, &request.name_any(), &uid) == user)
}

/// The latest upgrade that took the database away from that version.
fn upgraded_from(
    caches: &Caches,
    place: &NamespacedName<'_>,
    version: &str,
) -> Option<std::sync::Arc<PostgresOpsRequest>> {
    let done = caches.requests_where(|request| {
        request.metadata.namespace.as_deref() == Some(place.namespace)
            && request.spec.database_ref.name == place.name
            && request.updates_version()
            && request.phase() == Phase::Successful
            && request.status.as_ref().and_then(|status| status.from.as_deref()) == Some(version)
            && request.target() != Some(version)
    });
    done.into_iter().max_by_key(|request| request.creation_timestamp())
}

fn at_work(request: &PostgresOpsRequest, place: &NamespacedName<'_>) -> String {
    format!(
        "spec.version of {place} is set by PostgresOpsRequest {} ({:?}, to {}) when the data is of that version: leave \
         spec.version as it is until the request has ended (kubectl get pgops {0} -n {} -w)",
        request.name_any(),
        request.phase(),
        request.target().unwrap_or("its target"),
        place.namespace
    )
}

fn reverted(request: &PostgresOpsRequest, place: &NamespacedName<'_>, has: &str, wanted: &str) -> String {
    format!(
        "spec.version {wanted} is from before PostgresOpsRequest {} upgraded {place}, whose data is of version {has} \
         now: change the manifest, in Git if it comes from there, to version: \"{has}\"",
        request.name_any()
    )
}

/// What the author of the change can do instead: a request, if the matrix allows it.
fn instead(caches: &Caches, old: &Postgres, place: &NamespacedName<'_>, to: &str) -> String {
    let from = old.spec.version.as_str();
    let rule = format!("spec.version of {place} stays {from} until an upgrade has converted the data");
    if !old.was_initialized() {
        return format!(
            "{rule}. {place} was never initialised: to begin with another version, delete it and create it again"
        );
    }
    let catalog = caches.catalog();
    match catalog.decide(from, to) {
        Ok(_) => format!(
            "{rule}. The catalog allows {from} → {to}: leave spec.version as it is, and apply\n{}",
            manifest(place, to)
        ),
        Err(refusal) => {
            format!(
                "{rule}, and the catalog allows no such upgrade: {}",
                catalog.explain(&refusal, &place.to_string())
            )
        }
    }
}

/// A request that can be pasted; quoted, since a name may look like a number.
fn manifest(place: &NamespacedName<'_>, to: &str) -> String {
    let NamespacedName { namespace, name } = place;
    format!(
        "apiVersion: ops.kubedb.com/v1alpha1\n\
         kind: PostgresOpsRequest\n\
         metadata: {{ name: \"{name}-{to}\", namespace: \"{namespace}\" }}\n\
         spec: {{ type: UpdateVersion, databaseRef: {{ name: \"{name}\" }}, updateVersion: {{ targetVersion: \"{to}\" }} }}"
    )
}
