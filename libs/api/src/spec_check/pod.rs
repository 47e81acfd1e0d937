//! The pod template of a database.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{EnvVar, Toleration};
use serde_json::Value;

use super::metadata::{check_annotations, check_labels, is_key};
use super::name::check_object_name;
use super::problem::{SpecProblem, SpecProblemReason};
use super::resources;
use crate::Postgres;
use crate::pod_template::PodTemplate;

pub(super) fn check(database: &Postgres) -> Vec<SpecProblem> {
    let template = database.spec.pod_template.as_ref();
    let mut problems: Vec<_> = template.into_iter().flat_map(runs_as_root).collect();
    let template = match PodTemplate::parse(template) {
        Ok(template) => template,
        Err(error) => {
            let path = error.path().to_string();
            let field = if path == "." { String::new() } else { format!(".{path}") };
            problems.push(problem(&format!("spec.podTemplate{field}"), error.inner().to_string()));
            return problems;
        }
    };
    let path = &template.server_path;
    problems.extend(template.server.resources.iter().flat_map(|amounts| resources::check(path, amounts)));
    problems.extend(check_env(path, template.server.env()));
    problems.extend(check_labels("spec.podTemplate.metadata.labels", &template.metadata.labels));
    problems
        .extend(check_annotations("spec.podTemplate.metadata.annotations", &template.metadata.annotations));
    let spec = &template.spec;
    problems.extend(
        spec.node_selector
            .iter()
            .flat_map(|labels| check_labels("spec.podTemplate.spec.nodeSelector", labels)),
    );
    problems.extend(spec.tolerations.iter().flatten().enumerate().filter_map(check_toleration));
    problems.extend(check_repetitions(&template));
    let class = spec.priority_class_name.as_deref().filter(|class| !class.is_empty());
    let field = "spec.podTemplate.spec.priorityClassName";
    problems.extend(class.and_then(|it| check_object_name(SpecProblemReason::InvalidPodTemplate, field, it)));
    problems
}

fn problem(field: &str, message: impl Into<String>) -> SpecProblem {
    SpecProblem::new(SpecProblemReason::InvalidPodTemplate, field, message)
}

/// The template's user has no effect, except that a root user would not get what was asked.
fn runs_as_root(template: &Value) -> Vec<SpecProblem> {
    const USER: &str = "securityContext.runAsUser";
    let of_pod = ["containerSecurityContext", "securityContext"]
        .map(|context| (format!("spec.podTemplate.spec.{context}.runAsUser"), &template["spec"][context]));
    let containers = template["spec"]["containers"].as_array().into_iter().flatten().enumerate();
    let of_containers = containers.map(|(index, container)| {
        (format!("spec.podTemplate.spec.containers[{index}].{USER}"), &container["securityContext"])
    });
    let all = of_pod.into_iter().chain(of_containers);
    all.filter(|(_, context)| context["runAsUser"] == 0)
        .map(|(field, _)| {
            SpecProblem::new(
                SpecProblemReason::RunsAsRoot,
                field,
                "0 is root, and PostgreSQL refuses to run as root: omit it; the PostgresVersion names the image's own user",
            )
        })
        .collect()
}

fn check_env<'a>(path: &str, variables: impl Iterator<Item = &'a EnvVar>) -> Vec<SpecProblem> {
    let mut problems = Vec::new();
    for variable in variables {
        let name = &variable.name;
        let is_printable = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
        if name.is_empty() || !name.bytes().all(is_printable) {
            let message =
                format!("\"{name}\" cannot name an environment variable: use letters, digits and '_'");
            problems.push(problem(&format!("{path}.env"), message));
        }
        if variable.value.as_deref().is_some_and(|value| !value.is_empty()) && variable.value_from.is_some() {
            let message = format!("{name} has a value and valueFrom: keep one of them");
            problems.push(problem(&format!("{path}.env"), message));
        }
    }
    problems
}

/// Entries that are listed twice. Kubernetes lets its users write them, and refuses the StatefulSet that pgops applies.
fn check_repetitions(template: &PodTemplate) -> Vec<SpecProblem> {
    let spec = &template.spec;
    let variables = template.server.env().map(|variable| variable.name.clone());
    let secrets = spec.image_pull_secrets.iter().flatten().map(|secret| secret.name.clone());
    let constraints = spec.topology_spread_constraints.iter().flatten();
    let constraints = constraints.map(|it| format!("{} {}", it.topology_key, it.when_unsatisfiable));
    let lists = [
        (format!("{}.env", template.server_path), repetition(variables)),
        ("spec.podTemplate.spec.imagePullSecrets".to_owned(), repetition(secrets)),
        ("spec.podTemplate.spec.topologySpreadConstraints".to_owned(), repetition(constraints)),
    ];
    let repeated = lists.into_iter().filter_map(|(field, entry)| Some((field, entry?)));
    repeated
        .map(|(field, entry)| problem(&field, format!("\"{entry}\" is listed twice: keep one of them")))
        .collect()
}

/// The first entry that was listed before.
fn repetition(mut entries: impl Iterator<Item = String>) -> Option<String> {
    let mut known = BTreeSet::new();
    entries.find(|entry| !known.insert(entry.clone()))
}

fn check_toleration((index, toleration): (usize, &Toleration)) -> Option<SpecProblem> {
    let field = format!("spec.podTemplate.spec.tolerations[{index}]");
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (operator, effect) = (text(&toleration.operator), text(&toleration.effect));
    if !matches!(&*operator, "" | "Equal" | "Exists" | "Lt" | "Gt") {
        let message = format!("\"{operator}\" is not an operator: set \"Equal\" or \"Exists\"");
        return Some(problem(&format!("{field}.operator"), message));
    }
    if !matches!(&*effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
        let message = format!(
            "\"{effect}\" is not an effect: set \"NoSchedule\", \"PreferNoSchedule\" or \"NoExecute\", or omit it"
        );
        return Some(problem(&format!("{field}.effect"), message));
    }
    if operator == "Exists" && !text(&toleration.value).is_empty() {
        return Some(problem(&format!("{field}.value"), "the operator Exists compares no value: omit it"));
    }
    let key = text(&toleration.key);
    if !key.is_empty() && !is_key(&key) {
        let message = format!("\"{}\" cannot be the key of a taint", crate::bounded(key.as_str(), 100, ""));
        return Some(problem(&format!("{field}.key"), message));
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        let message = "only the effect \"NoExecute\" has a time: set that, or omit it";
        return Some(problem(&format!("{field}.tolerationSeconds"), message));
    }
    (operator != "Exists" && key.is_empty()).then(|| {
        problem(&format!("{field}.key"), "it is empty: set it, or the operator \"Exists\" for all taints")
    })
}
