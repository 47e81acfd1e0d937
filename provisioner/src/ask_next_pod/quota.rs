//! A quota that has no room for two pods of the database at the same time. The next one is created when the present one has
//! ended, and needs only what that leaves.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource;
use pgops_api::quantity::Quantity;

type Amounts = BTreeMap<String, resource::Quantity>;

/// What a quota has no room for, by the resources of the quota, as the API server reports it.
#[derive(Debug, PartialEq)]
pub struct Excess {
    requested: BTreeMap<String, Quantity>,
    used: BTreeMap<String, Quantity>,
    limited: BTreeMap<String, Quantity>,
}

impl Excess {
    /// Reads `… exceeded quota: NAME, requested: A=1,B=2, used: A=3,B=4, limited: A=3,B=5`; none if the message is another one.
    pub fn parse(words: &str) -> Option<Self> {
        let (_, after) = words.split_once("exceeded quota: ")?;
        let (_, after) = after.split_once(", requested: ")?;
        let (requested, after) = after.split_once(", used: ")?;
        let (used, limited) = after.split_once(", limited: ")?;
        Some(Self { requested: amounts(requested)?, used: amounts(used)?, limited: amounts(limited)? })
    }

    /// Whether the quota has room once this pod has ended.
    pub fn ends_with(&self, pod: &Pod) -> bool {
        self.requested.iter().all(|(name, requested)| {
            let (Some(used), Some(limited)) = (self.used.get(name), self.limited.get(name)) else {
                return false;
            };
            *used - held(pod, name) + *requested <= *limited
        })
    }
}

fn amounts(text: &str) -> Option<BTreeMap<String, Quantity>> {
    let amount = |pair: &str| {
        let (name, amount) = pair.split_once('=')?;
        Some((name.to_owned(), amount.parse::<Quantity>().ok()?))
    };
    text.trim().split(',').map(amount).collect()
}

/// How much of a resource of a quota a pod holds.
fn held(pod: &Pod, resource: &str) -> Quantity {
    if matches!(resource, "pods" | "count/pods") {
        return one();
    }
    if let Some(name) = resource.strip_prefix("limits.") {
        return total(pod, name, |resources| resources.limits.as_ref());
    }
    let name = resource.strip_prefix("requests.").unwrap_or(resource);
    total(pod, name, |resources| resources.requests.as_ref())
}

fn one() -> Quantity {
    "1".parse().unwrap_or(Quantity::ZERO)
}

/// Init containers run one after the other before the others start, except those that keep running.
fn total(pod: &Pod, name: &str, list: impl Fn(&ResourceRequirements) -> Option<&Amounts>) -> Quantity {
    let Some(spec) = &pod.spec else { return Quantity::ZERO };
    let amount = |container: &Container| {
        let amounts = container.resources.as_ref().and_then(&list);
        let amount = amounts.and_then(|amounts| amounts.get(name));
        amount.and_then(|amount| amount.0.parse().ok()).unwrap_or(Quantity::ZERO)
    };
    let inits = || spec.init_containers.iter().flatten();
    let stays = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let running = spec.containers.iter().chain(inits().filter(stays));
    let running = running.fold(Quantity::ZERO, |sum, container| sum + amount(container));
    let starting = inits().filter(|container| !stays(container)).map(amount).max();
    running.max(starting.unwrap_or(Quantity::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn present() -> Pod {
        let limits = |memory: &str| json!({ "limits": { "cpu": "1", "memory": memory }, "requests": { "memory": memory } });
        serde_json::from_value(json!({
            "metadata": { "name": "orders-0" },
            "spec": {
                "containers": [
                    { "name": "postgres", "resources": limits("1Gi") }, { "name": "proxy", "resources": limits("64Mi") },
                ],
                "initContainers": [{ "name": "install", "resources": { "limits": { "memory": "2Gi" } } }],
            },
        }))
        .unwrap()
    }

    #[rstest]
    #[case::pods("pods=1, used: pods=1, limited: pods=1", true)]
    #[case::pods_of_others("pods=1, used: pods=3, limited: pods=2", false)]
    #[case::count("count/pods=1, used: count/pods=2, limited: count/pods=2", true)]
    #[case::containers(
        "requests.memory=1088Mi, used: requests.memory=2Gi, limited: requests.memory=2Gi",
        true
    )]
    #[case::more("requests.memory=1089Mi, used: requests.memory=2Gi, limited: requests.memory=2Gi", false)]
    #[case::short_name("memory=1Gi, used: memory=1088Mi, limited: memory=1088Mi", true)]
    #[case::init_container("limits.memory=2Gi, used: limits.memory=3Gi, limited: limits.memory=3Gi", true)]
    #[case::one_of_two("limits.cpu=3,pods=1, used: limits.cpu=2,pods=1, limited: limits.cpu=2,pods=1", false)]
    #[case::unknown("requests.x/y=1, used: requests.x/y=1, limited: requests.x/y=1", false)]
    fn quota_has_room_if_the_present_pod_leaves_enough(#[case] amounts: &str, #[case] expected: bool) {
        let words = format!("pods \"a\" is forbidden: exceeded quota: q, requested: {amounts}");
        assert_eq!(Excess::parse(&words).unwrap().ends_with(&present()), expected);
    }

    #[rstest]
    #[case("pods \"a\" is forbidden: failed quota: q: must specify limits.memory for: postgres")]
    #[case("pods \"a\" is forbidden: exceeded quota: q, requested: pods, used: pods=1, limited: pods=1")]
    #[case("maximum memory usage per Container is 1Gi, but limit is 2Gi")]
    fn other_message_is_not_taken_for_an_excess(#[case] words: &str) {
        assert_eq!(Excess::parse(words), None);
    }
}
