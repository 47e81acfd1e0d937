//! Fields of the pod template that are written and not read, such as a misspelled `nodeAffinity`: without a word the pod would run
//! where it must not.

use serde::Serialize;
use serde_json::Value;

use crate::Postgres;
use crate::pod_template::PodTemplate;

/// Warnings about fields within those that have an effect. The others are told by the table of fields.
pub(super) fn warnings(database: &Postgres) -> Vec<String> {
    let Some(template) = database.spec.pod_template.as_ref() else { return Vec::new() };
    let Ok(parsed) = PodTemplate::parse(Some(template)) else { return Vec::new() };
    let spec = &parsed.spec;
    let server = &parsed.server;
    let env: Vec<_> = server.all_env().collect();
    let read = [
        ("spec.podTemplate.spec", "affinity", value(&spec.affinity)),
        ("spec.podTemplate.spec", "tolerations", value(&spec.tolerations)),
        ("spec.podTemplate.spec", "topologySpreadConstraints", value(&spec.topology_spread_constraints)),
        ("spec.podTemplate.spec", "imagePullSecrets", value(&spec.image_pull_secrets)),
        (parsed.server_path.as_str(), "env", value(&env)),
        (parsed.server_path.as_str(), "envFrom", value(&server.env_from)),
        (parsed.server_path.as_str(), "resources", value(&server.resources)),
    ];
    let mut lost = Vec::new();
    for (parent, field, read) in &read {
        let written = template.pointer(&pointer(parent)).and_then(|parent| parent.get(field));
        if let Some(written) = written {
            compare(&format!("{parent}.{field}"), written, read, &mut lost);
        }
    }
    lost.into_iter().map(|path| format!("{path} has no effect: pgops does not know this field")).collect()
}

fn value(read: &impl Serialize) -> Value {
    serde_json::to_value(read).unwrap_or_default()
}

/// The place below the template of a path that users know.
fn pointer(path: &str) -> String {
    path.trim_start_matches("spec.podTemplate").replace(['.', '['], "/").replace(']', "")
}

/// Collects the paths of fields that only the written value has.
fn compare(path: &str, written: &Value, read: &Value, lost: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (name, value) in written.iter().filter(|(_, value)| !value.is_null()) {
                let below = format!("{path}.{name}");
                match read.get(name) {
                    Some(read) => compare(&below, value, read, lost),
                    None => lost.push(below),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            for (index, (written, read)) in written.iter().zip(read).enumerate() {
                compare(&format!("{path}[{index}]"), written, read, lost);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(template: &Value) -> Vec<String> {
        let spec = json!({ "version": "17.11", "podTemplate": template });
        let object = json!({ "apiVersion": "kubedb.com/v1", "kind": "Postgres", "metadata": { "name": "orders" }, "spec": spec });
        warnings(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn misspelled_field_within_the_template_is_named() {
        let found = of(&json!({ "spec": {
            "affinity": { "nodeaffinity": {}, "podAntiAffinity": { "requiredDuringScheduling": [] } },
            "tolerations": [{ "operator": "Exists" }, { "operator": "Exists", "effects": "NoSchedule" }],
            "containers": [{ "name": "exporter" }, { "name": "postgres", "env": [{ "name": "A", "values": "b" }] }],
        }}));
        let paths: Vec<_> = found.iter().filter_map(|warning| warning.split(' ').next()).collect();
        assert_eq!(
            paths,
            [
                "spec.podTemplate.spec.affinity.nodeaffinity",
                "spec.podTemplate.spec.affinity.podAntiAffinity.requiredDuringScheduling",
                "spec.podTemplate.spec.tolerations[1].effects",
                "spec.podTemplate.spec.containers[1].env[0].values",
            ]
        );
    }

    #[test]
    fn fields_that_are_read_are_not_named_however_they_are_written() {
        let template = json!({ "spec": {
            "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "a", "operator": "In", "values": ["b"] }] },
            ] } }, "podAffinity": null },
            "imagePullSecrets": [{}, { "name": "a" }],
            "env": [{ "name": "PGDATA", "value": "/x" }, { "name": "A", "value": "" }],
            "envFrom": [{ "secretRef": { "name": "a", "optional": false } }],
            "resources": { "requests": { "cpu": 1 }, "limits": {} },
        }});
        assert_eq!(of(&template), Vec::<String>::new());
    }
}
