//! The Secrets and `ConfigMap`s without which the kubelet does not start a pod, and their keys. The pod that runs has read them
//! already: it serves on when one of them is deleted, and the next one would not start. Whether they exist is found out by dry runs
//! of patches: the provisioner reads none of them.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, KeyToPath, PodSpec, Secret, Volume, VolumeProjection,
};
use kube::Client;
use pgops_kube::status;
use serde_json::{Value, json};

use crate::metadata_patch::{self, Effect};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    ConfigMap,
    Secret,
}

/// An object that a pod cannot start without, or one of its keys.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Reference {
    kind: Kind,
    name: String,
    key: Option<String>,
}

/// What does not exist.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Missing {
    Object(Reference),
    Key(Reference),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(Reference { kind, name, .. }) => write!(f, "{kind:?} {name} does not exist"),
            Self::Key(Reference { kind, name, key }) => {
                write!(f, "{kind:?} {name} has no key \"{}\"", key.as_deref().unwrap_or_default())
            }
        }
    }
}

/// What a pod requires. What is optional is left out.
pub fn references(pod: &PodSpec) -> BTreeSet<Reference> {
    let volumes = pod.volumes.iter().flatten().flat_map(of_volume);
    let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
    volumes.chain(containers.flat_map(of_variables)).collect()
}

fn of_volume(volume: &Volume) -> Vec<Reference> {
    let mut found = Vec::new();
    if let Some(secret) = volume.secret.as_ref().filter(|it| it.optional != Some(true)) {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        found.extend(files(Kind::Secret, name, secret.items.as_deref()));
    }
    if let Some(map) = volume.config_map.as_ref().filter(|it| it.optional != Some(true)) {
        found.extend(files(Kind::ConfigMap, &map.name, map.items.as_deref()));
    }
    let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    found.extend(projected.flat_map(of_projection));
    found
}

fn of_projection(source: &VolumeProjection) -> Vec<Reference> {
    let mut found = Vec::new();
    if let Some(secret) = source.secret.as_ref().filter(|it| it.optional != Some(true)) {
        found.extend(files(Kind::Secret, &secret.name, secret.items.as_deref()));
    }
    if let Some(map) = source.config_map.as_ref().filter(|it| it.optional != Some(true)) {
        found.extend(files(Kind::ConfigMap, &map.name, map.items.as_deref()));
    }
    found
}

/// The keys that become files; all of them if none is named. Those of a ConfigMap may be binary, which is not looked at.
fn files(kind: Kind, name: &str, items: Option<&[KeyToPath]>) -> Vec<Reference> {
    match items.filter(|items| !items.is_empty() && kind == Kind::Secret) {
        Some(items) => items.iter().map(|item| reference(kind, name, Some(&item.key))).collect(),
        None => vec![reference(kind, name, None)],
    }
}

fn of_variables(container: &Container) -> Vec<Reference> {
    let mut found = Vec::new();
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        if let Some(secret) = source.secret_key_ref.as_ref().filter(|it| it.optional != Some(true)) {
            found.push(reference(Kind::Secret, &secret.name, Some(&secret.key)));
        }
        if let Some(map) = source.config_map_key_ref.as_ref().filter(|it| it.optional != Some(true)) {
            found.push(reference(Kind::ConfigMap, &map.name, Some(&map.key)));
        }
    }
    for source in container.env_from.iter().flatten() {
        if let Some(secret) = source.secret_ref.as_ref().filter(|it| it.optional != Some(true)) {
            found.push(reference(Kind::Secret, &secret.name, None));
        }
        if let Some(map) = source.config_map_ref.as_ref().filter(|it| it.optional != Some(true)) {
            found.push(reference(Kind::ConfigMap, &map.name, None));
        }
    }
    found
}

fn reference(kind: Kind, name: &str, key: Option<&str>) -> Reference {
    Reference { kind, name: name.to_owned(), key: key.map(ToOwned::to_owned) }
}

/// The first of them that is known not to exist.
pub async fn missing(client: &Client, namespace: &str, pod: &PodSpec) -> Option<Missing> {
    for reference in references(pod) {
        let Err(error) = ask(client, namespace, &reference).await else { continue };
        if status::is_not_found(&error) {
            return Some(Missing::Object(reference));
        }
        if reference.key.is_some() && status::is_inapplicable_patch(&error) {
            return Some(Missing::Key(reference));
        }
        // A policy, or the validation of an immutable Secret, sees the object without the key; of any other failure nothing is known.
    }
    None
}

async fn ask(client: &Client, namespace: &str, reference: &Reference) -> kube::Result<()> {
    let operations = removal(reference.key.as_deref());
    let name = &reference.name;
    match reference.kind {
        Kind::Secret => {
            metadata_patch::send::<Secret>(client, namespace, name, Effect::DryRun, &operations).await
        }
        Kind::ConfigMap => {
            metadata_patch::send::<ConfigMap>(client, namespace, name, Effect::DryRun, &operations).await
        }
    }
}

/// A patch that applies only if the key exists. Only for a dry run: it removes the key. One that copies it to itself would change
/// nothing, but the API server applies that without the key too.
fn removal(key: Option<&str>) -> Value {
    let Some(key) = key else { return json!([]) };
    let path = format!("/data/{}", key.replace('~', "~0").replace('/', "~1"));
    json!([{ "op": "remove", "path": path }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_testing::fake_api_server::FakeApiServer;
    use rstest::rstest;

    fn pod(change: &Value) -> PodSpec {
        let mut pod = json!({ "containers": [{ "name": "postgres" }] });
        json_patch::merge(&mut pod, change);
        serde_json::from_value(pod).unwrap()
    }

    #[rstest]
    #[case::secret(json!({ "secret": { "secretName": "a" } }), &["Secret a does not exist"])]
    #[case::its_keys(
        json!({ "secret": { "secretName": "present", "items": [
            { "key": "username", "path": "u" }, { "key": "password", "path": "p" },
        ] } }),
        &["Secret present has no key \"password\""]
    )]
    #[case::optional(json!({ "secret": { "secretName": "a", "optional": true } }), &[])]
    #[case::map(json!({ "configMap": { "name": "a" } }), &["ConfigMap a does not exist"])]
    #[case::projected(
        json!({ "projected": { "sources": [
            { "secret": { "name": "a", "optional": true } },
            { "secret": { "name": "b", "items": [{ "key": "tls.crt", "path": "tls.crt" }] } },
        ] } }),
        &["Secret b does not exist"]
    )]
    #[case::of_the_pod(json!({ "emptyDir": {} }), &[])]
    #[tokio::test]
    async fn volume_requires_its_secrets_and_their_keys(#[case] source: Value, #[case] expected: &[&str]) {
        let mut volume = json!({ "name": "v" });
        json_patch::merge(&mut volume, &source);
        assert_missing(&pod(&json!({ "volumes": [volume] })), expected).await;
    }

    #[rstest]
    #[case::all_of_a_map(json!({ "envFrom": [{ "configMapRef": { "name": "a" } }] }), &["ConfigMap a does not exist"])]
    #[case::all_of_a_secret(json!({ "envFrom": [{ "secretRef": { "name": "present" } }] }), &[])]
    #[case::key(
        json!({ "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "present", "key": "a" } } }] }),
        &["Secret present has no key \"a\""]
    )]
    #[case::optional(
        json!({ "env": [{ "name": "A", "valueFrom": { "configMapKeyRef": { "name": "a", "key": "a", "optional": true } } }] }),
        &[]
    )]
    #[case::value(json!({ "env": [{ "name": "A", "value": "b" }] }), &[])]
    #[tokio::test]
    async fn variables_require_their_sources(#[case] change: Value, #[case] expected: &[&str]) {
        let mut container = json!({ "name": "postgres" });
        json_patch::merge(&mut container, &change);
        assert_missing(&pod(&json!({ "containers": [container] })), expected).await;
    }

    /// There is a Secret "present" with the key "username".
    async fn assert_missing(pod: &PodSpec, expected: &[&str]) {
        let server = FakeApiServer::new("demo");
        let secret = json!({ "metadata": { "name": "present" }, "data": { "username": "" } });
        server.put(&serde_json::from_value::<Secret>(secret).unwrap());
        let before = server.version();
        let found = missing(&server.client(), "demo", pod).await;
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
        assert_eq!(server.version(), before, "nothing is stored");
    }

    #[tokio::test]
    async fn object_that_a_policy_does_not_let_change_exists() {
        let server = FakeApiServer::new("demo");
        let secret = json!({ "metadata": { "name": "a" } });
        server.put(&serde_json::from_value::<Secret>(secret).unwrap());
        server.refuse_to_change::<Secret>(Some("denied by a policy"));
        let pod = pod(&json!({ "volumes": [{ "name": "v", "secret": { "secretName": "a" } }] }));
        assert_eq!(missing(&server.client(), "demo", &pod).await, None);
    }
}
