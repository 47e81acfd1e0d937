//! Rules for `PostgresVersion`s.

use kube::ResourceExt;
use pgops_api::constraint::{Constraint, Version};
use pgops_api::matrix::{Catalog, Constraints, problems};
use pgops_api::names::{self, ANNOTATION_OVERRIDE};
use pgops_api::postgresversion::{ExtensionRule, InvalidExtension, PostgresVersionSpec};
use pgops_api::{Postgres, PostgresOpsRequest, PostgresVersion};

use super::shortened::shortened;
use crate::admission::bounds::MAX_WARNINGS;
use crate::admission::decision::{Cause, Decision, UNREADABLE};
use crate::admission::operation::Operation;
use crate::admission::request::AdmissionRequest;
use crate::cache::Caches;

/// A new or changed entry must be readable; what databases of an entry run must not change under them, nor may an entry in
/// use be deleted.
///
/// The matrix ignores unreadable entries, which can be created while no replica answers.
pub fn decide(caches: &Caches, request: &AdmissionRequest<'_>) -> Decision {
    let decision = match Operation::<PostgresVersion>::parse(request) {
        Ok(Operation::Create(new)) => check(&caches.catalog(), &new),
        Ok(Operation::Update { new, old }) => update(caches, &new, &old),
        Ok(Operation::Delete(old)) => check_unused(caches, &old.name_any()),
        Ok(Operation::Irrelevant) => Ok(Vec::new()),
        Err(unreadable) => Err(unreadable),
    };
    decision.map_or_else(|denied| denied, Decision::Allowed)
}

/// Denies a change of what databases run, unless the entry has the override annotation.
fn update(caches: &Caches, new: &PostgresVersion, old: &PostgresVersion) -> Result<Vec<String>, Decision> {
    let mut warnings = check(&caches.catalog(), new)?;
    let changed = changed_fields(&new.spec, &old.spec);
    let Some(first) = changed.first().copied() else { return Ok(warnings) };
    let name = new.name_any();
    let users = users(caches, &name);
    if users.is_empty() {
        return Ok(warnings);
    }
    let fields = changed.join(", ");
    let users = shortened(users);
    if names::overrides_guards(new.metadata.annotations.as_ref()) {
        warnings.push(format!(
            "{fields} changed while {users} used it ({ANNOTATION_OVERRIDE}): databases keep their image until an upgrade; \
             remove the annotation afterwards"
        ));
        return Ok(warnings);
    }
    Err(Decision::Forbidden(Cause {
        reason: "InUse",
        message: format!(
            "PostgresVersion {name} is used by {users}, so {fields} must not change: create another PostgresVersion, \
             and upgrade to it with a PostgresOpsRequest. To change this one anyway: kubectl annotate postgresversion \
             {name} {ANNOTATION_OVERRIDE}=true, then repeat the change; databases keep their image until an upgrade"
        ),
        field: first.into(),
    }))
}

/// The fields that decide what a database of the entry runs, as far as they differ.
fn changed_fields(new: &PostgresVersionSpec, old: &PostgresVersionSpec) -> Vec<&'static str> {
    let fields = [
        ("spec.version", new.version != old.version),
        ("spec.db.image", new.db.image != old.db.image),
        ("spec.db.baseOS", new.db.base_os != old.db.base_os),
        ("spec.securityContext", new.security_context != old.security_context),
    ];
    fields.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}

/// Denies what cannot be read; warns of constraints that match no version, or leave no upgrade.
fn check(catalog: &Catalog, new: &PostgresVersion) -> Result<Vec<String>, Decision> {
    let spec = &new.spec;
    let version = Version::parse(&spec.version).map_err(|error| invalid("spec.version", &error))?;
    if spec.db.image.trim().is_empty() {
        return Err(invalid("spec.db.image", &"must not be empty: set it to the image of the server"));
    }
    if spec.run_as_user() <= 0 {
        let problem = format!(
            "{} is not a user that PostgreSQL runs as: set it to the image's own user, such as 999 (Debian) or 70 (Alpine)",
            spec.run_as_user()
        );
        return Err(invalid("spec.securityContext.runAsUser", &problem));
    }
    let lists = &spec.update_constraints;
    let constraints = Constraints {
        allow: parse_constraints("allowlist", &lists.allowlist)?,
        deny: parse_constraints("denylist", &lists.denylist)?,
    };
    let extensions = ExtensionRule::parse_all(&spec.extensions)
        .map_err(|InvalidExtension { field, problem }| invalid(&field, &problem))?;

    let mut warnings = problems(spec);
    warnings.extend(without_effect(&extensions).take(MAX_WARNINGS));
    let lists = [("allowlist", "allows", &constraints.allow), ("denylist", "denies", &constraints.deny)];
    for (list, effect, entries) in lists {
        // One of many is enough to be told.
        for constraint in entries.iter().filter(|constraint| constraint.admits_nothing()).take(MAX_WARNINGS) {
            warnings.push(format!(
                "spec.updateConstraints.{list}: \"{constraint}\" {effect} nothing: no version satisfies all of it; use || \
                 for \"or\""
            ));
        }
    }
    // The version itself counts: the newest one of a catalog often has no other target.
    if !constraints.admit(&version)
        && !catalog.entries().iter().any(|entry| constraints.admit(&entry.version))
    {
        warnings.push(
            "spec.updateConstraints: no PostgresVersion in the catalog satisfies them, so databases of this version \
             cannot be upgraded"
                .to_owned(),
        );
    }
    Ok(warnings)
}

/// Entries about extensions that change nothing.
fn without_effect(extensions: &[ExtensionRule]) -> impl Iterator<Item = String> {
    extensions.iter().filter_map(|rule| {
        let name = &rule.name;
        if rule.is_empty() {
            return Some(format!("spec.extensions: the entry of \"{name}\" says nothing: set another field, or remove it"));
        }
        let constraint = rule.not_carried.as_ref().filter(|constraint| constraint.admits_nothing())?;
        Some(format!(
            "spec.extensions: notCarried of \"{name}\" excludes nothing: no version satisfies all of \"{constraint}\"; use || \
             for \"or\""
        ))
    })
}

fn parse_constraints(list: &str, texts: &[String]) -> Result<Box<[Constraint]>, Decision> {
    let parse = |(at, text): (usize, &String)| {
        text.parse().map_err(|error| invalid(&format!("spec.updateConstraints.{list}[{at}]"), &error))
    };
    texts.iter().enumerate().map(parse).collect()
}

fn invalid(field: &str, error: &dyn std::fmt::Display) -> Decision {
    Decision::Invalid(Cause {
        reason: UNREADABLE,
        message: format!("{field}: {error}"),
        field: field.to_owned().into(),
    })
}

fn check_unused(caches: &Caches, name: &str) -> Result<Vec<String>, Decision> {
    let users = users(caches, name);
    if users.is_empty() {
        return Ok(Vec::new());
    }
    Err(Decision::Forbidden(Cause {
        reason: "InUse",
        message: format!(
            "PostgresVersion {name} is used by {}, so its image and its constraints are needed: upgrade or delete \
             what uses it first. To discourage new uses, set spec.deprecated: true",
            shortened(users)
        ),
        field: "metadata.name".into(),
    }))
}

/// The databases of a version, and the unfinished requests from or to it.
fn users(caches: &Caches, name: &str) -> Vec<String> {
    let databases = caches.databases_where(|database| database.spec.version == name);
    // A request that ended halfway can be resumed.
    let paused = caches.databases_where(|database| database.paused().is_some());
    let is_resumable =
        |request: &PostgresOpsRequest| paused.iter().any(|database| database.is_paused_by(request));
    let requests = caches
        .requests_where(|request| (request.is_active() || is_resumable(request)) && involves(request, name));
    let mut users: Vec<String> =
        databases.iter().map(|database| display_user::<Postgres>("Postgres", database)).collect();
    users.extend(
        requests.iter().map(|request| display_user::<PostgresOpsRequest>("PostgresOpsRequest", request)),
    );
    users.sort();
    users
}

/// Whether the request upgrades a database from or to the version.
fn involves(request: &PostgresOpsRequest, version: &str) -> bool {
    [request.from_version(), request.target()].contains(&Some(version))
}

fn display_user<K: ResourceExt>(kind: &str, object: &K) -> String {
    format!("{kind} {}/{}", object.namespace().unwrap_or_default(), object.name_any())
}
