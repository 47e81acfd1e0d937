//! Requests and limits of the server's container.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource;

use super::problem::{SpecProblem, SpecProblemReason};
use crate::quantity::Quantity;

type Amounts = BTreeMap<String, resource::Quantity>;

/// Least memory limit, in mebibytes. With 20 MiB the kernel kills `PostgreSQL` 15 with its default settings before it has answered
/// the first query; with 24 it answers. The memory of `shared_buffers` counts only once it is used.
const LEAST_MEMORY: u32 = 24;

/// The checks of the API server, which refuses the pod and not the StatefulSet: without them nothing would tell why the
/// pod is missing.
pub(super) fn check(path: &str, resources: &ResourceRequirements) -> Vec<SpecProblem> {
    let empty = Amounts::new();
    let requests = resources.requests.as_ref().unwrap_or(&empty);
    let limits = resources.limits.as_ref().unwrap_or(&empty);
    let mut problems = Vec::new();
    for (list, amounts) in [("requests", requests), ("limits", limits)] {
        for (name, amount) in amounts {
            let field = format!("{path}.resources.{list}.{name}");
            let problem = check_amount(&field, name, &amount.0);
            let is_limit = list == "limits" && name == "memory";
            problems.extend(problem.or_else(|| check_memory_limit(&field, &amount.0).filter(|_| is_limit)));
        }
    }
    let has = |name: &str| requests.contains_key(name) || limits.contains_key(name);
    let hugepages = requests.keys().chain(limits.keys()).find(|name| name.starts_with("hugepages-"));
    if let Some(name) = hugepages.filter(|_| !has("cpu") && !has("memory")) {
        let message = format!("a container with {name} requires cpu or memory too: set one of them");
        problems.push(problem(&format!("{path}.resources"), message));
    }
    if resources.claims.iter().flatten().next().is_some() {
        let message = "the pod has no resource claims, and would be refused: omit it";
        problems.push(problem(&format!("{path}.resources.claims"), message));
    }
    for (name, request) in requests {
        problems.extend(check_pair(path, name, &request.0, limits.get(name).map(|limit| limit.0.as_str())));
    }
    problems
}

fn problem(field: &str, message: impl Into<String>) -> SpecProblem {
    SpecProblem::new(SpecProblemReason::InvalidResources, field, message)
}

fn check_amount(field: &str, name: &str, text: &str) -> Option<SpecProblem> {
    if !is_native(name) && !is_extended(name) {
        return Some(problem(
            field,
            format!("\"{name}\" is not a resource of a container: use cpu, memory or ephemeral-storage"),
        ));
    }
    match text.parse::<Quantity>() {
        Err(error) => Some(problem(field, error.to_string())),
        Ok(amount) if amount < Quantity::ZERO => {
            Some(problem(field, format!("\"{text}\" is negative: set zero or more")))
        }
        Ok(amount) if !amount.is_whole() && is_extended(name) => {
            Some(problem(field, format!("\"{text}\" is not a whole number, which {name} requires")))
        }
        // `500m` is half a byte, written in the unit of processors.
        Ok(amount) if name == "memory" && amount > Quantity::ZERO && amount < Quantity::mebibytes(1) => {
            Some(problem(field, format!("\"{text}\" is less than a mebibyte: add a unit, such as \"512Mi\"")))
        }
        Ok(_) => None,
    }
}

/// Zero means unlimited. A quantity that does not parse has a problem of its own.
fn check_memory_limit(field: &str, text: &str) -> Option<SpecProblem> {
    let limit = text.parse::<Quantity>().ok()?;
    (limit > Quantity::ZERO && limit < Quantity::mebibytes(LEAST_MEMORY)).then(|| {
        let message = format!(
            "\"{text}\" is less than PostgreSQL needs to start: set \"{LEAST_MEMORY}Mi\" or more, and enough for shared_buffers \
             and the sessions"
        );
        problem(field, message)
    })
}

/// Quantities that do not parse have a problem of their own.
fn check_pair(path: &str, name: &str, request: &str, limit: Option<&str>) -> Option<SpecProblem> {
    let field = format!("{path}.resources.requests.{name}");
    let is_overcommitted = !name.starts_with("hugepages-") && !is_extended(name);
    let Some(limit) = limit else {
        let message = format!("{name} cannot be overcommitted: set the same amount in limits");
        return (!is_overcommitted).then(|| problem(&field, message));
    };
    let (requested, most) = (request.parse::<Quantity>().ok()?, limit.parse::<Quantity>().ok()?);
    if requested > most {
        let message =
            format!("\"{request}\" is more than the limit \"{limit}\": lower the request or raise the limit");
        return Some(problem(&field, message));
    }
    (!is_overcommitted && requested != most).then(|| {
        problem(
            &field,
            format!("\"{request}\" differs from the limit \"{limit}\", and {name} cannot be overcommitted"),
        )
    })
}

fn is_native(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

/// A resource of a device plugin has a domain in its name.
fn is_extended(name: &str) -> bool {
    name.split_once('/').is_some_and(|(domain, name)| !domain.is_empty() && !name.is_empty())
}
