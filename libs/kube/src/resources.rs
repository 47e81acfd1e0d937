//! Requests and limits of a container, from a flag.

use std::collections::BTreeMap;
use std::str::FromStr;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pgops_api::spec_check::{SpecProblem, resource_problems};
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

/// Why the value of a flag cannot be the resources of a container.
#[derive(Debug, thiserror::Error)]
pub enum ParseResourcesError {
    /// It is of another form.
    #[error(
        "expected JSON such as {{\"requests\":{{\"cpu\":\"10m\"}},\"limits\":{{\"memory\":\"64Mi\"}}}}: {0}"
    )]
    Malformed(serde_json::Error),
    /// The API server would refuse every pod with such a container.
    #[error("{field}: {message}")]
    Refused {
        /// Path of the amount, such as `requests.memory`.
        field: String,
        /// What is wrong with it, and what to do instead.
        message: String,
    },
}

impl FromStr for ContainerResources {
    type Err = ParseResourcesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let resources: Self = serde_json::from_str(text).map_err(ParseResourcesError::Malformed)?;
        match resource_problems("", &resources.clone().into()).into_iter().next() {
            None => Ok(resources),
            Some(SpecProblem { field, message, .. }) => {
                let field = field.trim_start_matches(".resources.").to_owned();
                Err(ParseResourcesError::Refused { field, message })
            }
        }
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

    /// The chart's default limit stays if an administrator sets the request alone.
    #[rstest]
    #[case::more_than_the_limit(
        r#"{"requests":{"memory":"256Mi"},"limits":{"cpu":"500m","memory":"128Mi"}}"#,
        "requests.memory: \"256Mi\" is more than the limit \"128Mi\": lower the request or raise the limit"
    )]
    #[case::not_a_quantity(r#"{"limits":{"cpu":"one"}}"#, "limits.cpu: ")]
    #[case::not_a_resource(
        r#"{"limits":{"storage":"1Gi"}}"#,
        "limits.storage: \"storage\" is not a resource"
    )]
    fn resources_that_the_api_server_refuses_are_refused(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<ContainerResources>().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[rstest]
    #[case::misspelled(r#"{"limit":{"memory":"64Mi"}}"#)]
    #[case::not_json("memory=64Mi")]
    #[case::not_a_map(r#"{"limits":"64Mi"}"#)]
    fn misspelled_resources_are_refused(#[case] text: &str) {
        assert!(text.parse::<ContainerResources>().is_err());
    }
}
