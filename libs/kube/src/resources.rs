//! Requests and limits of a container, from a flag.

use std::collections::BTreeMap;
use std::str::FromStr;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;

/// Requests and limits of a container, written as JSON: `{"requests":{"cpu":"10m"},"limits":{"memory":"64Mi"}}`.
///
/// A container without limits is refused in a namespace whose `ResourceQuota` counts them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ContainerResources {
    /// What the scheduler reserves.
    pub requests: BTreeMap<String, Quantity>,
    /// What the container can use at most.
    pub limits: BTreeMap<String, Quantity>,
}

/// The value of a flag is not the resources of a container.
#[derive(Debug, thiserror::Error)]
#[error("expected JSON such as {{\"requests\":{{\"cpu\":\"10m\"}},\"limits\":{{\"memory\":\"64Mi\"}}}}: {0}")]
pub struct ParseResourcesError(serde_json::Error);

impl FromStr for ContainerResources {
    type Err = ParseResourcesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map_err(ParseResourcesError)
    }
}

impl From<ContainerResources> for ResourceRequirements {
    fn from(ContainerResources { requests, limits }: ContainerResources) -> Self {
        let some = |map: BTreeMap<String, Quantity>| Some(map).filter(|map| !map.is_empty());
        Self { requests: some(requests), limits: some(limits), claims: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[test]
    fn resources_are_those_of_the_flag() {
        let text = r#"{"requests":{"cpu":"10m"},"limits":{"memory":"64Mi"}}"#;
        let resources: ResourceRequirements = text.parse::<ContainerResources>().unwrap().into();
        let expected = json!({ "requests": { "cpu": "10m" }, "limits": { "memory": "64Mi" } });
        assert_eq!(serde_json::to_value(resources).unwrap(), expected);
        let none: ResourceRequirements = "{}".parse::<ContainerResources>().unwrap().into();
        assert_eq!(none, ResourceRequirements::default());
    }

    #[rstest]
    #[case::misspelled(r#"{"limit":{"memory":"64Mi"}}"#)]
    #[case::not_json("memory=64Mi")]
    #[case::not_a_map(r#"{"limits":"64Mi"}"#)]
    fn misspelled_resources_are_refused(#[case] text: &str) {
        assert!(text.parse::<ContainerResources>().is_err());
    }
}
