//! Reviews of `PostgresVersion`s.

use kube::ResourceExt;
use pgops_api::constraint::{Constraint, Version};
use pgops_api::matrix::{Catalog, Constraints, problems};
use pgops_api::{Postgres, PostgresOpsRequest, PostgresVersion};

use super::review::Request;
use super::verdict::{Asked, Cause, UNREADABLE, Verdict};
use crate::cache::Caches;

/// Users of an entry that a refusal names before it only counts them.
const SHOWN_USERS: usize = 3;

/// A new or changed entry must be one that can be read; one that is used stays.
///
/// Entries that slip in while no replica answers are ignored by the matrix as far as they cannot be read.
pub fn judge(caches: &Caches, request: &Request<'_>) -> Verdict {
    let verdict = match Asked::<PostgresVersion>::read(request) {
        Ok(Asked::Create(new) | Asked::Change { new, .. }) => check(&caches.catalog(), &new),
        Ok(Asked::Delete(old)) => keep_if_used(caches, &old.name_any()),
        Ok(Asked::Nothing) => Ok(Vec::new()),
        Err(unreadable) => Err(unreadable),
    };
    verdict.map_or_else(|refused| refused, Verdict::Allowed)
}

/// What cannot be read is refused; what admits nothing, or can be upgraded by nobody, is told.
fn check(catalog: &Catalog, new: &PostgresVersion) -> Result<Vec<String>, Verdict> {
    let spec = &new.spec;
    let version = Version::parse(&spec.version).map_err(|error| invalid("spec.version", &error))?;
    if spec.db.image.trim().is_empty() {
        return Err(invalid("spec.db.image", &"it is empty: name the image of the server"));
    }
    let lists = &spec.update_constraints;
    let constraints =
        Constraints { allow: read("allowlist", &lists.allowlist)?, deny: read("denylist", &lists.denylist)? };

    let mut warnings = problems(spec);
    let lists = [("allowlist", "allows", &constraints.allow), ("denylist", "denies", &constraints.deny)];
    for (list, effect, entries) in lists {
        for constraint in entries.iter().filter(|constraint| constraint.admits_nothing()) {
            warnings.push(format!(
                "spec.updateConstraints.{list}: \"{constraint}\" {effect} nothing: no version fits all of it; || \
                 means \"or\""
            ));
        }
    }
    // Itself counts: the newest version of a catalog often leads nowhere else.
    if !constraints.admit(&version)
        && !catalog.entries().iter().any(|entry| constraints.admit(&entry.version))
    {
        warnings.push(
            "spec.updateConstraints: no PostgresVersion in the catalog fits them, so databases of this version \
             cannot be upgraded"
                .to_owned(),
        );
    }
    Ok(warnings)
}

fn read(list: &str, texts: &[String]) -> Result<Box<[Constraint]>, Verdict> {
    let parse = |(at, text): (usize, &String)| {
        text.parse().map_err(|error| invalid(&format!("spec.updateConstraints.{list}[{at}]"), &error))
    };
    texts.iter().enumerate().map(parse).collect()
}

fn invalid(field: &str, error: &dyn std::fmt::Display) -> Verdict {
    Verdict::Invalid(Cause {
        reason: UNREADABLE,
        message: format!("{field}: {error}"),
        field: field.to_owned().into(),
    })
}

fn keep_if_used(caches: &Caches, name: &str) -> Result<Vec<String>, Verdict> {
    let databases = caches.databases_where(|database| database.spec.version == name);
    // One that has ended half way can go on.
    let paused = caches.databases_where(|database| database.paused().is_some());
    let is_half_way =
        |request: &PostgresOpsRequest| paused.iter().any(|database| database.is_paused_by(request));
    let requests = caches
        .requests_where(|request| (request.is_active() || is_half_way(request)) && moves(request, name));
    let mut users: Vec<String> =
        databases.iter().map(|database| user::<Postgres>("Postgres", database)).collect();
    users.extend(requests.iter().map(|request| user::<PostgresOpsRequest>("PostgresOpsRequest", request)));
    users.sort();
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let more = match users.len().saturating_sub(SHOWN_USERS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    users.truncate(SHOWN_USERS);
    Err(Verdict::Forbidden(Cause {
        reason: "InUse",
        message: format!(
            "PostgresVersion {name} stays as long as it is used, by {}{more}: its image and its constraints are needed. \
             Upgrade or delete what uses it first. To keep others from choosing it, set spec.deprecated: true",
            users.join(", ")
        ),
        field: "metadata.name".into(),
    }))
}

/// Whether the request moves a database from or to the version.
fn moves(request: &PostgresOpsRequest, version: &str) -> bool {
    let from = request.status.as_ref().and_then(|status| status.from.as_deref());
    [from, request.target()].contains(&Some(version))
}

fn user<K: ResourceExt>(kind: &str, object: &K) -> String {
    format!("{kind} {}/{}", object.namespace().unwrap_or_default(), object.name_any())
}
