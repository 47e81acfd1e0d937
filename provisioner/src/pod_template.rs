//! What a user may set in `spec.podTemplate`, of all that `KubeDB` knows there.
//!
//! Honoured: `metadata.labels` and `metadata.annotations`; of `spec`: `nodeSelector`, `tolerations`,
//! `affinity`, `topologySpreadConstraints`, `imagePullSecrets`, `priorityClassName`, and `env`,
//! `envFrom` and `resources` of the container `postgres` (in `v1alpha2`'s form, of `spec` itself).
//! The rest is kept in the object and has no effect.

use std::collections::BTreeMap;
use std::mem;

use k8s_openapi::api::core::v1::{
    Affinity, EnvFromSource, EnvVar, LocalObjectReference, ResourceRequirements, Toleration,
    TopologySpreadConstraint,
};
use pgops_api::names;
use serde::Deserialize;

/// The part of `spec.podTemplate` that has an effect.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Labels and annotations of the pod.
    pub metadata: Metadata,
    /// The pod.
    pub spec: PodSpec,
    /// The server's container.
    #[serde(skip)]
    pub server: Container,
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Labels; pgops' own win.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// The pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names of Kubernetes' fields say what they are")]
pub struct PodSpec {
    pub node_selector: Option<BTreeMap<String, String>>,
    pub tolerations: Option<Vec<Toleration>>,
    pub affinity: Option<Affinity>,
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    pub image_pull_secrets: Option<Vec<LocalObjectReference>>,
    pub priority_class_name: Option<String>,
    containers: Vec<Container>,
    // v1alpha2's form of the server's container. Not flattened: errors would lose the field's name.
    env: Vec<EnvVar>,
    env_from: Option<Vec<EnvFromSource>>,
    resources: Option<ResourceRequirements>,
}

/// What may be set for the server's container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    name: String,
    env: Vec<EnvVar>,
    /// Variables from config maps and secrets.
    pub env_from: Option<Vec<EnvFromSource>>,
    /// Requests and limits.
    pub resources: Option<ResourceRequirements>,
}

impl PodTemplate {
    /// Reads `spec.podTemplate`.
    pub fn read(
        template: Option<&serde_json::Value>,
    ) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
        let Some(template) = template else { return Ok(Self::default()) };
        let mut read: Self = serde_path_to_error::deserialize(template)?;
        let spec = &mut read.spec;
        let named = spec.containers.iter().find(|container| container.name == names::CONTAINER_POSTGRES);
        read.server = named.cloned().unwrap_or_else(|| Container {
            name: names::CONTAINER_POSTGRES.to_owned(),
            env: mem::take(&mut spec.env),
            env_from: spec.env_from.take(),
            resources: spec.resources.take(),
        });
        Ok(read)
    }
}

impl Container {
    /// The user's variables, without those that are pgops' to set.
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
    fn takes_the_servers_variables_in_either_form_and_leaves_ours(#[case] template: Value) {
        let template = PodTemplate::read(Some(&template)).unwrap();
        let env: Vec<_> = template.server.env().map(|variable| variable.name.as_str()).collect();
        assert_eq!(env, ["A"]);
        assert_eq!(template.server.env[0].value.as_deref(), Some("b"));
    }

    #[test]
    fn what_has_no_effect_is_no_error_and_what_does_not_fit_is_named() {
        let template = json!({ "controller": {}, "spec": { "containers": [], "serviceAccountName": "x" } });
        assert!(PodTemplate::read(Some(&template)).is_ok());
        let error = PodTemplate::read(Some(&json!({ "spec": { "tolerations": "all" } }))).unwrap_err();
        assert!(error.to_string().starts_with("spec.tolerations: "), "{error}");
    }
}
