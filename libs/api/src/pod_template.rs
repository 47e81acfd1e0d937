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

impl Container {
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
}
