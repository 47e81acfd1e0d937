//! The page on rights: who may do what, and why. From the rendered chart, in which each rule of a role has a comment that
//! says why it is needed, and each admission policy an annotation.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, bail};
use serde::Deserialize;

/// Annotation of an admission policy.
const WHY: &str = "pgops.dev/why";
const LABEL_COMPONENT: &str = "app.kubernetes.io/component";

/// One object of the rendered chart.
#[derive(Deserialize)]
struct Object {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Option<PolicySpec>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct PolicySpec {
    #[serde(default)]
    validations: Vec<Validation>,
}

#[derive(Deserialize)]
struct Validation {
    message: String,
}

/// One rule of a role.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

/// The page, as Markdown, from the rendered chart and the tables of a worker's rights.
pub fn page(chart: &str, worker: &str) -> anyhow::Result<String> {
    let mut roles: BTreeMap<String, String> = BTreeMap::new();
    let mut policies: BTreeMap<String, String> = BTreeMap::new();
    for document in documents(chart) {
        // Other kinds have other forms.
        let kind = document.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap_or_default();
        if !["ClusterRole", "Role", "ValidatingAdmissionPolicy"].contains(&kind) {
            continue;
        }
        let object: Object =
            serde_saphyr::from_str(&document).with_context(|| format!("failed to parse a {kind}"))?;
        let component = object.metadata.labels.get(LABEL_COMPONENT).cloned().unwrap_or_default();
        if object.kind == "ValidatingAdmissionPolicy" {
            policies.entry(component).or_default().push_str(&policy_row(&object)?);
        } else {
            let rows = role_rows(&object, &document)?;
            roles.entry(component).or_default().push_str(&rows);
        }
    }
    let mut page = HEAD.to_owned();
    for (component, title, text) in SECTIONS {
        let _ = write!(page, "\n## {title}\n\n{text}\n");
        if component == "worker" {
            page.push_str(worker);
        }
        if let Some(rows) = roles.get(component) {
            let _ = write!(page, "\n| resources | verbs | where | why |\n|---|---|---|---|\n{rows}");
        }
        if let Some(rows) = policies.get(component) {
            let _ = write!(page, "\n| policy | why | what the API server refuses |\n|---|---|---|\n{rows}");
        }
    }
    Ok(page)
}

fn documents(chart: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in chart.lines() {
        if line == "---" {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents
}

fn role_rows(role: &Object, document: &str) -> anyhow::Result<String> {
    let place = match &role.metadata.namespace {
        Some(_) => "its own namespace",
        None => "everywhere",
    };
    let mut rows = String::new();
    for (why, rule) in rules(document)? {
        if why.is_empty() {
            bail!("a rule of {} {} has no comment that says why", role.kind, role.metadata.name);
        }
        let groups = rule.api_groups.iter().flat_map(|group| {
            rule.resources.iter().map(move |resource| match group.as_str() {
                "" => format!("`{resource}`"),
                group => format!("`{resource}.{group}`"),
            })
        });
        let mut resources = groups.collect::<Vec<_>>().join(", ");
        if !rule.resource_names.is_empty() {
            let _ = write!(resources, " `{}`", rule.resource_names.join("`, `"));
        }
        let _ = writeln!(rows, "| {resources} | {} | {place} | {why} |", rule.verbs.join(", "));
    }
    Ok(rows)
}

/// The rules of a role, each with the comment above it.
fn rules(document: &str) -> anyhow::Result<Vec<(String, Rule)>> {
    let mut rules = Vec::new();
    let mut comment = Vec::new();
    let mut body = String::new();
    let lines = document.lines().skip_while(|line| *line != "rules:").skip(1);
    // A line that is not indented ends the last rule.
    for line in lines.chain(["end"]) {
        let text = line.trim_start();
        let begins = text.starts_with("# ") || text.starts_with("- ") || !line.starts_with(' ');
        if begins && !body.is_empty() {
            let rule: Vec<Rule> = serde_saphyr::from_str(&body).context("failed to parse a rule")?;
            rules.extend(rule.into_iter().map(|rule| (comment.join(" "), rule)));
            comment.clear();
            body.clear();
        }
        match text.strip_prefix("# ") {
            Some(words) => comment.push(words.trim_end_matches('.').to_owned()),
            None if line.starts_with(' ') => {
                body.push_str(line);
                body.push('\n');
            }
            None => break,
        }
    }
    Ok(rules)
}

fn policy_row(policy: &Object) -> anyhow::Result<String> {
    let name = &policy.metadata.name;
    let why = policy.metadata.annotations.get(WHY);
    let why = why.with_context(|| format!("ValidatingAdmissionPolicy {name} has no annotation {WHY}"))?;
    let validations = policy.spec.iter().flat_map(|spec| &spec.validations);
    let messages: Vec<_> = validations.map(|validation| validation.message.as_str()).collect();
    Ok(format!("| `{name}` | {why} | {} |\n", messages.join("; ")))
}

const HEAD: &str = "<!-- Generated by `make generate` from the chart and from `webhook/src/launcher/worker/rights.rs`: edit those. -->
# Rights

Who may do what in the API server, and why. Each component has a service account of its own. RBAC decides which objects it may
handle; [admission policies](https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/) of the chart
decide what it may write into them. Both are enforced by the API server, whatever a component does.

The tables are those of the default values, for a release `pgops` in the namespace `pgops-system`. With the value
`watchNamespaces` the rights \"everywhere\" are rights in those namespaces only, apart from those on kinds that have no namespace.

If another admission controller changes what a worker writes, for example by adding an annotation to each StatefulSet, the policies
refuse the write. Exclude the service accounts `pgops-worker-*` from that controller, or set `policies.enabled` to false.
";

/// Component, title and introduction of each section.
const SECTIONS: [(&str, &str, &str); 8] = [
    (
        "webhook",
        "Admission",
        "The API server calls it, and in many clusters any pod can. It reads what decisions depend on, and writes nothing but its \
         certificate authorities.",
    ),
    (
        "launcher",
        "Launcher",
        "No component calls it. RBAC allows granting only rights that one has, so it has those of all workers; a policy keeps it \
         from using them.",
    ),
    (
        "worker",
        "Workers",
        "Each request has a worker with a service account `pgops-worker-<request>-<part of the uid>` of its own, here of the request \
         `orders-17` for the database `orders`. The launcher creates it before the Job and deletes it when the request ends, whatever \
         the Job's pod does. Rights of the group `plan.pgops.dev` express the plan: no API has that group, and the policies ask the \
         API server for them.",
    ),
    (
        "provisioner",
        "Provisioner",
        "It builds the objects of each `Postgres`, and executes requests that change a running one. It never reads a password: of a Secret that \
         it changes it asks the API server for the metadata alone.",
    ),
    (
        "instance",
        "Instances",
        "PID 1 of each database pod. It may `get` its own `Postgres`, to learn whether the volume was ever initialised, and nothing \
         else.",
    ),
    (
        "users",
        "Users",
        "With `rbac.aggregate` these rights are added to the cluster's roles `view`, `edit` and `admin`. Only pgops may write \
         the status of a database or a request.",
    ),
    (
        "uninstall",
        "Uninstallation",
        "A Job that `helm uninstall` runs first, and whose rights exist only meanwhile: see [how to \
         uninstall](../how-to/uninstall.md).",
    ),
    ("self-test", "Self-test", "A pod that `helm test` runs, and whose rights exist only meanwhile."),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "kind: ClusterRole\nmetadata:\n  name: pgops-webhook\n  labels: { app.kubernetes.io/component: webhook }\n\
        rules:\n  # To decide,\n  # and to queue.\n  - apiGroups: [kubedb.com]\n    resources: [postgreses]\n    verbs: [list]\n  \
        # Its Secret.\n  - apiGroups: [\"\"]\n    resources: [secrets]\n    resourceNames: [ca]\n    verbs: [get, update]\n";

    #[test]
    fn rule_has_the_comment_above_it_as_its_reason() {
        let page = page(ROLE, "").unwrap();
        assert!(
            page.contains("| `postgreses.kubedb.com` | list | everywhere | To decide, and to queue |"),
            "{page}"
        );
        assert!(page.contains("| `secrets` `ca` | get, update | everywhere | Its Secret |"), "{page}");
    }

    #[test]
    fn rule_without_a_reason_is_an_error() {
        let silent = ROLE.replace("  # Its Secret.\n", "");
        assert!(page(&silent, "").unwrap_err().to_string().contains("pgops-webhook"));
    }

    #[test]
    fn policy_is_listed_with_what_it_refuses() {
        let policy = "kind: ValidatingAdmissionPolicy\nmetadata:\n  name: p\n  labels: { app.kubernetes.io/component: worker }\n  \
            annotations: { pgops.dev/why: because }\nspec:\n  validations:\n    - expression: \"false\"\n      message: no\n    \
            - expression: \"true\"\n      message: never\n";
        let page = page(&format!("{ROLE}---\n{policy}"), "the worker's table").unwrap();
        assert!(page.contains("| `p` | because | no; never |"), "{page}");
        assert!(page.contains("the worker's table"), "{page}");
    }
}
