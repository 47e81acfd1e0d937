//! What a user may set in `spec.podTemplate`: a part of `KubeDB`'s fields.
//!
//! Honoured: `metadata.labels` and `metadata.annotations`; of `spec`: `nodeSelector`, `tolerations`,
//! `affinity`, `topologySpreadConstraints`, `imagePullSecrets`, `priorityClassName`, and `env`,
//! `envFrom` and `resources` of the container `postgres` (in `v1alpha2`'s form, of `spec` itself).
//! The other fields stay in the object and have no effect.

use std::collections::BTreeMap;
use std::mem;

use k8s_openapi::api::core::v1::{
    Affinity, EnvFromSource, EnvVar, LocalObjectReference, ResourceRequirements, Toleration,
    TopologySpreadConstraint,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{names, quantity};

/// The part of `spec.podTemplate` that has an effect.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Labels and annotations of the pod.
    pub metadata: Metadata,
    /// Where the pod runs.
    pub spec: PodSpec,
    /// The server's container.
    #[serde(skip)]
    pub server: Container,
    /// Where the server's container is in the object.
    #[serde(skip)]
    pub server_path: String,
}

/// Metadata of the pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// pgops' own labels take precedence.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pod.
    pub annotations: BTreeMap<String, String>,
}

/// The part of the pod's spec that has an effect.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields of a pod")]
pub struct PodSpec {
    pub node_selector: Option<BTreeMap<String, String>>,
    pub tolerations: Option<Vec<Toleration>>,
    pub affinity: Option<Affinity>,
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    pub image_pull_secrets: Option<Vec<LocalObjectReference>>,
    pub priority_class_name: Option<String>,
    containers: Vec<Container>,
    // The server's container in v1alpha2's form. Not flattened: errors would lose the field's name.
    env: Vec<EnvVar>,
    env_from: Option<Vec<EnvFromSource>>,
    #[serde(deserialize_with = "quantity::with_numbers")]
    resources: Option<ResourceRequirements>,
}

/// What may be set for the server's container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    name: String,
    env: Vec<EnvVar>,
    /// Sources of further variables.
    pub env_from: Option<Vec<EnvFromSource>>,
    /// Requests and limits.
    #[serde(deserialize_with = "quantity::with_numbers")]
    pub resources: Option<ResourceRequirements>,
}

impl PodTemplate {
    /// Parses `spec.podTemplate`.
    pub fn parse(
        template: Option<&serde_json::Value>,
    ) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
        let Some(template) = template else { return Ok(Self::default()) };
        let mut parsed: Self = serde_path_to_error::deserialize(template)?;
        let spec = &mut parsed.spec;
        let named = spec.containers.iter().position(|it| it.name == names::CONTAINER_POSTGRES);
        parsed.server_path = match named {
            Some(index) => format!("spec.podTemplate.spec.containers[{index}]"),
            None => "spec.podTemplate.spec".to_owned(),
        };
        parsed.server =
            named.and_then(|index| spec.containers.get(index)).cloned().unwrap_or_else(|| Container {
                name: names::CONTAINER_POSTGRES.to_owned(),
                env: mem::take(&mut spec.env),
                env_from: spec.env_from.take(),
                resources: spec.resources.take(),
            });
        Ok(parsed)
    }
}

/// The template with these requests and limits of the server, where its other settings are; none removes them.
#[must_use]
pub fn with_resources(template: Option<&Value>, resources: Option<&Value>) -> Value {
    // One that cannot be parsed may have any shape.
    if PodTemplate::parse(template).is_err() {
        return template.cloned().unwrap_or_default();
    }
    let mut template = template.cloned().unwrap_or_else(|| json!({}));
    let holder = match location(&template) {
        Location::Container(index) => &mut template["spec"]["containers"][index],
        Location::Spec => &mut template["spec"],
        Location::Missing if resources.is_none() => return template,
        Location::Missing => {
            let container = json!({ "name": names::CONTAINER_POSTGRES });
            match &mut template["spec"]["containers"] {
                Value::Array(containers) => containers.insert(0, container),
                other => *other = json!([container]),
            }
            &mut template["spec"]["containers"][0]
        }
    };
    match (resources, holder.as_object_mut()) {
        (Some(resources), Some(holder)) => {
            holder.insert("resources".to_owned(), resources.clone());
        }
        (None, Some(holder)) => {
            holder.remove("resources");
        }
        (_, None) => {}
    }
    template
}

/// The requests and limits of the server in a template, as they are written.
#[must_use]
pub fn resources(template: Option<&Value>) -> Option<&Value> {
    let template = template?;
    let holder = match location(template) {
        Location::Container(index) => template.get("spec")?.get("containers")?.get(index)?,
        Location::Spec => template.get("spec")?,
        Location::Missing => return None,
    };
    holder.get("resources").filter(|resources| !resources.is_null())
}

/// Where the settings of the server's container are.
enum Location {
    /// In the item of the list `containers` with this index.
    Container(usize),
    /// In the pod's spec, in the form of `v1alpha2`.
    Spec,
    /// Nowhere.
    Missing,
}

fn location(template: &Value) -> Location {
    let spec = &template["spec"];
    let mut containers = spec["containers"].as_array().into_iter().flatten();
    if let Some(index) = containers.position(|it| it["name"] == names::CONTAINER_POSTGRES) {
        return Location::Container(index);
    }
    if ["env", "envFrom", "resources"].iter().any(|field| !spec[field].is_null()) {
        Location::Spec
    } else {
        Location::Missing
    }
}

impl Container {
    /// All variables of the user.
    pub fn all_env(&self) -> impl Iterator<Item = &EnvVar> {
        self.env.iter()
    }

    /// The user's variables, without those that pgops sets.
    pub fn env(&self) -> impl Iterator<Item = &EnvVar> {
        self.env.iter().filter(|variable| variable.name != "PGDATA" && !variable.name.starts_with("PGOPS_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case(json!({ "spec": { "containers": [
        { "name": "exporter", "env": [{ "name": "A", "value": "wrong" }] },
        { "name": "postgres", "env": [{ "name": "A", "value": "b" }, { "name": "PGDATA", "value": "/x" }] },
    ] } }))]
    #[case(json!({ "spec": { "env": [{ "name": "A", "value": "b" }, { "name": "PGOPS_DATABASE", "value": "x" }] } }))]
    fn env_is_read_in_both_forms_without_pgops_own(#[case] template: Value) {
        let template = PodTemplate::parse(Some(&template)).unwrap();
        let env: Vec<_> = template.server.env().map(|variable| variable.name.as_str()).collect();
        assert_eq!(env, ["A"]);
        assert_eq!(template.server.env[0].value.as_deref(), Some("b"));
    }

    #[test]
    fn unknown_fields_are_ignored_and_invalid_ones_are_named() {
        let template = json!({ "controller": {}, "spec": { "containers": [], "serviceAccountName": "x" } });
        assert!(PodTemplate::parse(Some(&template)).is_ok());
        let error = PodTemplate::parse(Some(&json!({ "spec": { "tolerations": "all" } }))).unwrap_err();
        assert!(error.to_string().starts_with("spec.tolerations: "), "{error}");
    }

    #[test]
    fn resources_are_set_where_the_server_is_configured() {
        let amounts = json!({ "limits": { "memory": "1Gi" } });
        let v1 = json!({ "spec": { "containers": [
            { "name": "exporter" }, { "name": "postgres", "env": [{ "name": "A" }], "resources": { "limits": {} } },
        ]}});
        let changed = with_resources(Some(&v1), Some(&amounts));
        assert_eq!(changed["spec"]["containers"][1]["resources"], amounts);
        assert_eq!(changed["spec"]["containers"][1]["env"], v1["spec"]["containers"][1]["env"]);
        assert_eq!(resources(Some(&changed)), Some(&amounts));
        let v1alpha2 = json!({ "spec": { "env": [{ "name": "A" }], "nodeSelector": { "a": "b" } } });
        let changed = with_resources(Some(&v1alpha2), Some(&amounts));
        assert_eq!(changed["spec"]["resources"], amounts);
        assert_eq!(changed["spec"].get("containers"), None);
        assert_eq!(with_resources(Some(&changed), None), v1alpha2);
        let created = with_resources(None, Some(&amounts));
        assert_eq!(
            PodTemplate::parse(Some(&created)).unwrap().server.resources.unwrap().limits.unwrap().len(),
            1
        );
        assert_eq!((with_resources(None, None), resources(None)), (json!({}), None));
    }
}
