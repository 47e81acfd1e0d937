//! Which changes of a database wait for a restart of its pod: nothing but pgops replaces a pod, and a changed template alone
//! does not.

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_kube::node_affinity;
use serde_json::{Value, json};

use crate::observation::{MORE, Restart};

/// Label of a pod with the name of the revision of the StatefulSet that it was made from.
const LABEL_REVISION: &str = "controller-revision-hash";
/// Fields that are named in a message; more would not be read.
const MAX_NAMED: usize = 12;
/// How requests and limits of the server are named.
pub const RESOURCES: &str = "resources";
/// How the Secret with settings is named.
pub const CONFIG_SECRET: &str = "configSecret";
/// How the Secret with the password is named.
pub const AUTH_SECRET: &str = "authSecret";
/// How the Secret with the certificate is named.
pub const TLS: &str = "tls";

/// The revisions of a pod and of the template that it should have, if they differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outdated {
    /// Name of the pod's `ControllerRevision`.
    pub current: String,
    /// Name of the template's.
    pub wanted: String,
}

/// Whether the pod was made from an earlier template than the workload has now.
pub fn outdated(workload: &StatefulSet, pod: &Pod) -> Option<Outdated> {
    let status = workload.status.as_ref()?;
    // Before the controller has seen the template, its revision is that of the previous one.
    if status.observed_generation < workload.metadata.generation {
        return None;
    }
    let wanted = status.update_revision.clone()?;
    let current = pod.labels().get(LABEL_REVISION)?.clone();
    (pod.metadata.deletion_timestamp.is_none() && current != wanted).then_some(Outdated { current, wanted })
}

/// What waits for a restart of a pod that was made from another revision, as users know the fields, sorted; no field is named if
/// they cannot be told.
pub fn pending(current: Option<&ControllerRevision>, wanted: Option<&ControllerRevision>) -> Restart {
    let template = |revision: Option<&ControllerRevision>| {
        Some(without_required_node(revision?.data.as_ref()?.0["spec"]["template"].clone()))
    };
    let (Some(current), Some(wanted)) = (template(current), template(wanted)) else {
        return Restart::Pending(Vec::new());
    };
    if current == wanted {
        return Restart::NotNeeded;
    }
    let mut paths = Vec::new();
    compare(&current, &wanted, "", &mut paths);
    let mut fields: Vec<_> = paths.iter().map(|path| field(path)).collect();
    fields.sort();
    fields.dedup();
    if fields.len() > MAX_NAMED {
        let more = fields.len() - MAX_NAMED;
        fields.truncate(MAX_NAMED);
        fields.push(format!("{more}{MORE}"));
    }
    Restart::Pending(fields)
}

/// An upgrade requires a node for the pod that it starts, and for no later one: that alone does not require another pod.
fn without_required_node(mut template: Value) -> Value {
    let affinity = template.pointer("/spec/affinity").cloned().and_then(|it| serde_json::from_value(it).ok());
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        match node_affinity::with_required_node(affinity.as_ref(), None) {
            Some(affinity) => spec.insert("affinity".to_owned(), json!(affinity)),
            None => spec.remove("affinity"),
        };
    }
    template
}

/// Collects the paths at which two values differ. Entries of lists are compared by name: a new one moves the others.
fn compare(old: &Value, new: &Value, path: &str, paths: &mut Vec<String>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
                // A list that is compared by name, or that only one of them has.
                let at = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&at(left), &at(right), &format!("{path}/{key}"), paths);
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_) | Value::Null) => {
            match (by_name(old), by_name(new)) {
                (Some(left), Some(right)) => compare(&left, &right, path, paths),
                _ => paths.push(path.to_owned()),
            }
        }
        _ => paths.push(path.to_owned()),
    }
}

/// A list whose entries all have a name, as an object.
fn by_name(list: &Value) -> Option<Value> {
    let entries = list.as_array().map_or(&[][..], Vec::as_slice);
    let named = entries.iter().map(|entry| Some((entry["name"].as_str()?.to_owned(), entry.clone())));
    named.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
}

/// The field of the Postgres, or else of the pod, behind a path of the template.
fn field(path: &str) -> String {
    const SERVER: &str = "/spec/containers/postgres/";
    const VARIABLE: &str = "/spec/containers/postgres/env/";
    const FIELDS: [(&str, &str); 13] = [
        ("/spec/containers/postgres/env/PGOPS_CLIENT_AUTH_MODE", "clientAuthMode"),
        ("/spec/containers/postgres/env/PGOPS_SSL_MODE", "sslMode"),
        ("/spec/containers/postgres/image", "image"),
        ("/spec/containers/postgres/resources", RESOURCES),
        ("/spec/containers/postgres/volumeMounts", "volumes"),
        ("/spec/volumes/config", CONFIG_SECRET),
        ("/spec/volumes/auth", AUTH_SECRET),
        ("/spec/volumes/auth-next", AUTH_SECRET),
        ("/spec/volumes/settings", "configuration"),
        ("/spec/volumes/tls", TLS),
        ("/spec/initContainers/install/image", "image of the instance"),
        ("/spec/initContainers/install", "init container install"),
        ("/spec/volumes", "volumes"),
    ];
    let is_within =
        |field: &str| path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if let Some((_, name)) = FIELDS.iter().find(|(field, _)| is_within(field)) {
        return (*name).to_owned();
    }
    if let Some(variable) = path.strip_prefix(VARIABLE) {
        return format!("env {}", variable.split('/').next().unwrap_or_default());
    }
    let rest = path.strip_prefix(SERVER).or_else(|| path.strip_prefix("/spec/"));
    let name = rest.unwrap_or(path).trim_start_matches('/');
    // The keys of labels and annotations are names too.
    let depth = if name.starts_with("metadata") { 3 } else { 1 };
    name.splitn(depth + 1, '/').take(depth).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn workload(revision: &str, observed: i64) -> StatefulSet {
        serde_json::from_value(json!({
            "metadata": { "name": "orders", "generation": 2 },
            "status": { "replicas": 1, "observedGeneration": observed, "updateRevision": revision },
        }))
        .unwrap()
    }

    fn pod(revision: &str) -> Pod {
        let labels = json!({ "controller-revision-hash": revision });
        serde_json::from_value(json!({ "metadata": { "name": "orders-0", "labels": labels } })).unwrap()
    }

    #[test]
    fn pod_is_outdated_if_it_was_made_from_another_revision() {
        assert_eq!(outdated(&workload("orders-b", 2), &pod("orders-b")), None);
        let expected = Outdated { current: "orders-a".to_owned(), wanted: "orders-b".to_owned() };
        assert_eq!(outdated(&workload("orders-b", 2), &pod("orders-a")), Some(expected));
        assert_eq!(
            outdated(&workload("orders-b", 1), &pod("orders-a")),
            None,
            "not seen by its controller yet"
        );
    }

    fn revision(change: impl FnOnce(&mut Value)) -> ControllerRevision {
        let mut template = json!({
            "$patch": "replace",
            "metadata": { "labels": { "team": "shop" } },
            "spec": {
                "containers": [{
                    "name": "postgres",
                    "image": "postgres:17.11",
                    "env": [{ "name": "PGDATA", "value": "/var/pv/17/data" }, { "name": "A", "value": "b" }],
                    "resources": { "limits": { "memory": "1Gi" } },
                }],
                "initContainers": [{ "name": "install", "image": "instance:1" }],
                "volumes": [{ "name": "auth", "secret": { "secretName": "orders-auth" } }],
            },
        });
        change(&mut template);
        let data = json!({ "spec": { "template": template } });
        serde_json::from_value(json!({ "metadata": {}, "revision": 1, "data": data })).unwrap()
    }

    #[rstest]
    #[case::resources(|it: &mut Value| it["spec"]["containers"][0]["resources"]["limits"]["memory"] = json!("2Gi"), "resources")]
    #[case::no_resources(|it: &mut Value| it["spec"]["containers"][0]["resources"] = Value::Null, "resources")]
    #[case::variable(|it: &mut Value| it["spec"]["containers"][0]["env"][1]["value"] = json!("c"), "env A")]
    #[case::first_variable_removed(|it: &mut Value| {
        it["spec"]["containers"][0]["env"].as_array_mut().unwrap().remove(0);
    }, "env PGDATA")]
    #[case::mode(|it: &mut Value| it["spec"]["containers"][0]["env"].as_array_mut().unwrap()
        .push(json!({ "name": "PGOPS_CLIENT_AUTH_MODE", "value": "scram" })), "clientAuthMode")]
    #[case::settings(|it: &mut Value| it["spec"]["volumes"].as_array_mut().unwrap()
        .push(json!({ "name": "config", "secret": {} })), "configSecret")]
    #[case::ssl_mode(|it: &mut Value| it["spec"]["containers"][0]["env"].as_array_mut().unwrap()
        .push(json!({ "name": "PGOPS_SSL_MODE", "value": "require" })), "sslMode")]
    #[case::certificate(|it: &mut Value| it["spec"]["volumes"].as_array_mut().unwrap()
        .push(json!({ "name": "tls", "projected": {} })), "tls")]
    #[case::image(|it: &mut Value| it["spec"]["containers"][0]["image"] = json!("postgres:17.12"), "image")]
    #[case::instance(|it: &mut Value| it["spec"]["initContainers"][0]["image"] = json!("instance:2"), "image of the instance")]
    #[case::selector(|it: &mut Value| it["spec"]["nodeSelector"] = json!({ "disk": "fast" }), "nodeSelector")]
    #[case::tolerations(|it: &mut Value| it["spec"]["tolerations"] = json!([{ "key": "db" }]), "tolerations")]
    #[case::label(|it: &mut Value| it["metadata"]["labels"]["team"] = json!("bank"), "metadata.labels.team")]
    fn changed_field_is_named_as_in_the_postgres(#[case] change: fn(&mut Value), #[case] expected: &str) {
        let (old, new) = (revision(|_| {}), revision(change));
        assert_eq!(pending(Some(&old), Some(&new)), Restart::Pending(vec![expected.to_owned()]));
        assert_eq!(pending(Some(&new), Some(&old)), Restart::Pending(vec![expected.to_owned()]));
    }

    #[test]
    fn fields_of_an_unknown_revision_are_not_named() {
        let known = revision(|_| {});
        assert_eq!(pending(Some(&known), None), Restart::Pending(Vec::new()));
        assert_eq!(pending(Some(&known), Some(&known)), Restart::NotNeeded);
    }

    #[test]
    fn node_that_an_upgrade_required_is_not_a_change() {
        let node = |it: &mut Value| {
            it["spec"]["affinity"] = json!(node_affinity::with_required_node(None, Some("node-1")));
        };
        let (pinned, free) = (revision(node), revision(|_| {}));
        assert_eq!(pending(Some(&pinned), Some(&free)), Restart::NotNeeded);
        let other = revision(|it| {
            node(it);
            it["spec"]["affinity"]["podAntiAffinity"] = json!({});
        });
        assert_eq!(pending(Some(&other), Some(&free)), Restart::Pending(vec!["affinity".to_owned()]));
    }
}
