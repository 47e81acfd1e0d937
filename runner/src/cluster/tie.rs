//! Ties pods to a node by its name, beside what their owner wants of nodes. By the scheduler, which leaves a node alone
//! that is being drained; and not by the label `kubernetes.io/hostname`, which need not be the node's name.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodSpec,
};
use serde_json::{Value, json};

const NAME: &str = "metadata.name";

/// A patch that gives an affinity its tie to `node`, or takes that away.
#[must_use]
pub fn patch(affinity: Option<&Affinity>, node: Option<&str>) -> Value {
    let mut patch = json!(tied(affinity, node));
    // What is left out of a patch stays.
    let parts = patch.as_object_mut().map(|parts| parts.entry("nodeAffinity").or_insert(Value::Null));
    if let Some(nodes) = parts.and_then(Value::as_object_mut) {
        nodes.entry("requiredDuringSchedulingIgnoredDuringExecution").or_insert(Value::Null);
    }
    patch
}

/// The affinity with its tie to `node`, or without one; none if nothing is left of it.
pub(super) fn tied(affinity: Option<&Affinity>, node: Option<&str>) -> Option<Affinity> {
    let mut affinity = affinity.cloned().unwrap_or_default();
    let mut nodes = affinity.node_affinity.take().unwrap_or_default();
    let required = nodes.required_during_scheduling_ignored_during_execution.take();
    let mut terms = required.map(|required| required.node_selector_terms).unwrap_or_default();
    if terms.is_empty() {
        terms.push(NodeSelectorTerm::default());
    }
    // One of the terms must hold, and each with all of its parts.
    for term in &mut terms {
        let mut fields = term.match_fields.take().unwrap_or_default();
        fields.retain(|field| field.key != NAME);
        fields.extend(node.map(|node| NodeSelectorRequirement {
            key: NAME.to_owned(),
            operator: "In".to_owned(),
            values: Some(vec![node.to_owned()]),
        }));
        term.match_fields = (!fields.is_empty()).then_some(fields);
    }
    terms.retain(|term| *term != NodeSelectorTerm::default());
    if !terms.is_empty() {
        nodes
            .required_during_scheduling_ignored_during_execution
            .get_or_insert_default()
            .node_selector_terms = terms;
    }
    affinity.node_affinity = Some(nodes).filter(|nodes| *nodes != NodeAffinity::default());
    Some(affinity).filter(|affinity| *affinity != Affinity::default())
}

/// The node that a pod is tied to.
#[must_use]
pub fn node(pod: &PodSpec) -> Option<&str> {
    let nodes = pod.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &nodes.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let mut fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    fields.find(|field| field.key == NAME)?.values.as_ref()?.first().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affinity(value: Value) -> Affinity {
        serde_json::from_value(value).unwrap()
    }

    fn users() -> Affinity {
        affinity(json!({
            "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "disk", "operator": "In", "values": ["fast"] }] },
                { "matchExpressions": [{ "key": "disk", "operator": "In", "values": ["faster"] }] },
            ]}},
            "podAntiAffinity": {},
        }))
    }

    fn on(affinity: Option<Affinity>) -> Option<String> {
        let pod = PodSpec { affinity, ..PodSpec::default() };
        node(&pod).map(ToOwned::to_owned)
    }

    #[test]
    fn a_pod_is_tied_anew_and_let_go_without_a_trace() {
        let here = tied(None, Some("here"));
        assert_eq!(on(here.clone()).as_deref(), Some("here"));
        let there = tied(here.as_ref(), Some("there"));
        assert_eq!(on(there.clone()).as_deref(), Some("there"));
        assert_eq!(tied(there.as_ref(), None), None);
        assert_eq!(tied(None, None), None);
    }

    #[test]
    fn a_patch_says_what_goes() {
        assert_eq!(patch(tied(None, Some("here")).as_ref(), None), Value::Null);
        let preferred = affinity(json!({
            "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [] }, "podAntiAffinity": {},
        }));
        let here = tied(Some(&preferred), Some("here"));
        let nodes = &patch(here.as_ref(), None)["nodeAffinity"];
        assert!(
            nodes["requiredDuringSchedulingIgnoredDuringExecution"].is_null() && nodes.is_object(),
            "{nodes}"
        );
        let other = affinity(json!({ "podAntiAffinity": {} }));
        assert_eq!(patch(Some(&other), None), json!({ "nodeAffinity": null, "podAntiAffinity": {} }));
    }

    #[test]
    fn what_its_owner_wants_of_nodes_stays() {
        let here = tied(Some(&users()), Some("here")).unwrap();
        let terms = here.node_affinity.clone().unwrap().required_during_scheduling_ignored_during_execution;
        for term in terms.unwrap().node_selector_terms {
            assert_eq!((term.match_expressions.unwrap().len(), term.match_fields.unwrap().len()), (1, 1));
        }
        assert_eq!(tied(Some(&here), None), Some(users()));
    }
}
