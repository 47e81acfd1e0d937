//! The volume claim of a database.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use k8s_openapi::apimachinery::pkg::api::resource;

use super::name::check_object_name;
use super::problem::{SpecProblem, SpecProblemReason};
use crate::Postgres;
use crate::postgres::StorageType;
use crate::quantity::Quantity;

/// The field with the size of the volume.
pub(super) const SIZE: &str = "spec.storage.resources.requests.storage";
/// An empty database with its WAL is larger. Less is a forgotten unit, such as `10` for `10Gi`.
const SMALLEST: Quantity = Quantity::mebibytes(64);
/// The access modes of Kubernetes.
const ACCESS_MODES: [&str; 4] = ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"];

/// The requested size, as written.
pub(super) fn requested(database: &Postgres) -> Option<&str> {
    let resources = database.spec.storage.as_ref()?.resources.as_ref()?;
    size(resources.requests.as_ref())
}

fn size(amounts: Option<&BTreeMap<String, resource::Quantity>>) -> Option<&str> {
    amounts?.get("storage").map(|size| size.0.as_str())
}

pub(super) fn check(database: &Postgres) -> Vec<SpecProblem> {
    let is_durable = database.storage_type() == StorageType::Durable;
    let mut problems = Vec::new();
    match requested(database) {
        Some(size) => problems.extend(check_size(SIZE, size)),
        None if is_durable => problems.push(SpecProblem::new(
            SpecProblemReason::StorageMissing,
            SIZE,
            "a Durable database requires a size, such as \"1Gi\"; or set spec.storageType: Ephemeral",
        )),
        None => {}
    }
    if let Some(claim) = database.spec.storage.as_deref() {
        problems.extend(check_limit(claim));
        // An emptyDir has nothing but a size.
        if is_durable {
            problems.extend(check_access_modes(claim));
            problems.extend(check_class(claim));
            problems.extend(check_volume_mode(claim));
        }
    }
    problems
}

fn problem(field: &str, message: impl Into<String>) -> SpecProblem {
    SpecProblem::new(SpecProblemReason::InvalidStorage, field, message)
}

pub(super) fn check_size(field: &str, text: &str) -> Option<SpecProblem> {
    match text.parse::<Quantity>() {
        Err(error) => Some(problem(field, error.to_string())),
        Ok(size) if size <= Quantity::ZERO => {
            Some(problem(field, format!("\"{text}\" is not a size: set one above zero, such as \"1Gi\"")))
        }
        Ok(size) if size < SMALLEST => Some(problem(
            field,
            format!(
                "\"{text}\" is less than an empty database needs: set at least \"64Mi\", such as \"1Gi\""
            ),
        )),
        Ok(_) => None,
    }
}

fn check_limit(claim: &PersistentVolumeClaimSpec) -> Option<SpecProblem> {
    const FIELD: &str = "spec.storage.resources.limits.storage";
    let resources = claim.resources.as_ref()?;
    let limit = size(resources.limits.as_ref())?;
    let Ok(most) = limit.parse::<Quantity>() else { return check_size(FIELD, limit) };
    let request = size(resources.requests.as_ref())?;
    (request.parse::<Quantity>().ok()? > most).then(|| {
        problem(
            FIELD,
            format!("\"{limit}\" is less than the requested \"{request}\": raise or remove the limit"),
        )
    })
}

fn check_access_modes(claim: &PersistentVolumeClaimSpec) -> Option<SpecProblem> {
    const FIELD: &str = "spec.storage.accessModes";
    let modes = claim.access_modes.as_deref().unwrap_or_default();
    let unknown = modes.iter().position(|mode| !ACCESS_MODES.contains(&mode.as_str()));
    if let Some(index) = unknown {
        let message = format!("\"{}\" is not an access mode: set \"ReadWriteOnce\"", modes[index]);
        return Some(problem(&format!("{FIELD}[{index}]"), message));
    }
    let has = |mode: &str| modes.iter().any(|it| it == mode);
    if has("ReadWriteOncePod") && modes.len() > 1 {
        return Some(problem(
            FIELD,
            "ReadWriteOncePod excludes all other modes: set \"ReadWriteOnce\" alone",
        ));
    }
    let writes = modes.is_empty() || modes.iter().any(|mode| mode.starts_with("ReadWrite"));
    (!writes)
        .then(|| problem(FIELD, "ReadOnlyMany alone does not let the server write: set \"ReadWriteOnce\""))
}

/// An empty name stands for volumes without a class.
fn check_class(claim: &PersistentVolumeClaimSpec) -> Option<SpecProblem> {
    let class = claim.storage_class_name.as_deref().filter(|class| !class.is_empty())?;
    check_object_name(SpecProblemReason::InvalidStorage, "spec.storage.storageClassName", class)
}

fn check_volume_mode(claim: &PersistentVolumeClaimSpec) -> Option<SpecProblem> {
    let mode = claim.volume_mode.as_deref().filter(|mode| !matches!(*mode, "" | "Filesystem"))?;
    Some(problem(
        "spec.storage.volumeMode",
        format!("\"{mode}\" has no file system, which PostgreSQL requires: set \"Filesystem\", or omit it"),
    ))
}

/// What is admitted and may surprise.
pub(super) fn warnings(database: &Postgres) -> Vec<String> {
    if database.storage_type() == StorageType::Ephemeral {
        return vec![
            "storageType Ephemeral: the data is lost with its pod, and the database cannot be upgraded"
                .to_owned(),
        ];
    }
    let Some(claim) = database.spec.storage.as_deref() else { return Vec::new() };
    let mut warnings = Vec::new();
    if claim.access_modes.iter().flatten().any(|mode| mode == "ReadWriteOncePod") {
        warnings.push(
            "spec.storage.accessModes: with ReadWriteOncePod the database cannot be upgraded, since the upgrade's pod needs \
             the volume while the database serves: use ReadWriteOnce"
                .to_owned(),
        );
    }
    if claim.storage_class_name.as_deref() == Some("") {
        warnings.push(
            "spec.storage.storageClassName: \"\" binds only to an existing volume without a class; omit it for the \
             cluster's default class"
                .to_owned(),
        );
    }
    warnings
}

/// Fields that have changed although the claim exists, which keeps what it was created with.
pub(super) fn change_warnings(new: &Postgres, old: &Postgres) -> Vec<String> {
    // A claim that a quota or a policy refuses does not exist yet.
    if new.storage_type() == StorageType::Ephemeral || !old.was_initialized() {
        return Vec::new();
    }
    let fields = |database: &Postgres| {
        let claim = database.spec.storage.as_deref().map(serde_json::to_value);
        let claim = claim.and_then(Result::ok).and_then(|it| it.as_object().cloned()).unwrap_or_default();
        claim.into_iter().filter(|(field, _)| field != "resources").collect::<BTreeMap<_, _>>()
    };
    let (now, before) = (fields(new), fields(old));
    let known = before.keys().filter(|field| !now.contains_key(*field)).chain(now.keys());
    let changed = known.filter(|field| now.get(*field) != before.get(*field));
    changed
        .map(|field| {
            format!(
                "spec.storage.{field} has no effect on a database that exists: its volume claim keeps what it was created \
                 with. For another one create another database, and copy the data"
            )
        })
        .collect()
}
