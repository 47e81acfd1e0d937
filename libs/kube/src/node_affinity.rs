//! Requires a node by its name, in addition to the affinity that a database's owner has set. Through the scheduler, which
//! places nothing on a node that is being drained; and not by the label `kubernetes.io/hostname`, which need not be the
//! node's name.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodSpec,
};
use serde_json::{Value, json};

const NODE_NAME_FIELD: &str = "metadata.name";

/// A patch of an affinity that requires `node`, or no longer requires any.
#[must_use]
pub fn patch(affinity: Option<&Affinity>, node: Option<&str>) -> Value {
    let mut patch = json!(with_required_node(affinity, node));
    // A field that a patch omits stays, so removals are explicit.
    let parts = patch.as_object_mut().map(|parts| parts.entry("nodeAffinity").or_insert(Value::Null));
    if let Some(nodes) = parts.and_then(Value::as_object_mut) {
        nodes.entry("requiredDuringSchedulingIgnoredDuringExecution").or_insert(Value::Null);
    }
    patch
}

/// The affinity that requires `node`, or no node by name; `None` if nothing is left of it.
#[must_use]
pub fn with_required_node(affinity: Option<&Affinity>, node: Option<&str>) -> Option<Affinity> {
    let mut affinity = affinity.cloned().unwrap_or_default();
    let mut nodes = affinity.node_affinity.take().unwrap_or_default();
    let required = nodes.required_during_scheduling_ignored_during_execution.take();
    let mut terms = required.map(|required| required.node_selector_terms).unwrap_or_default();
    if terms.is_empty() {
        terms.push(NodeSelectorTerm::default());
    }
    // One of the terms must hold, with all of its parts: so the node goes into each.
    for term in &mut terms {
        let mut fields = term.match_fields.take().unwrap_or_default();
        fields.retain(|field| field.key != NODE_NAME_FIELD);
        fields.extend(node.map(|node| NodeSelectorRequirement {
            key: NODE_NAME_FIELD.to_owned(),
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

/// The node that a pod requires.
#[must_use]
pub fn required_node(pod: &PodSpec) -> Option<&str> {
    let nodes = pod.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &nodes.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let mut fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    fields.find(|field| field.key == NODE_NAME_FIELD)?.values.as_ref()?.first().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affinity(value: Value) -> Affinity {
        serde_json::from_value(value).unwrap()
    }

    fn owners_affinity() -> Affinity {
        affinity(json!({
            "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "disk", "operator": "In", "values": ["fast"] }] },
                { "matchExpressions": [{ "key": "disk", "operator": "In", "values": ["faster"] }] },
            ]}},
            "podAntiAffinity": {},
        }))
    }

    fn required(affinity: Option<Affinity>) -> Option<String> {
        let pod = PodSpec { affinity, ..PodSpec::default() };
        required_node(&pod).map(ToOwned::to_owned)
    }

    #[test]
    fn required_node_is_replaced_and_cleared_without_a_trace() {
        let here = with_required_node(None, Some("here"));
        assert_eq!(required(here.clone()).as_deref(), Some("here"));
        let there = with_required_node(here.as_ref(), Some("there"));
        assert_eq!(required(there.clone()).as_deref(), Some("there"));
        assert_eq!(with_required_node(there.as_ref(), None), None);
        assert_eq!(with_required_node(None, None), None);
    }

    #[test]
    fn patch_names_what_is_removed() {
        assert_eq!(patch(with_required_node(None, Some("here")).as_ref(), None), Value::Null);
        let preferred = affinity(json!({
            "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [] }, "podAntiAffinity": {},
        }));
        let here = with_required_node(Some(&preferred), Some("here"));
        let nodes = &patch(here.as_ref(), None)["nodeAffinity"];
        assert!(
            nodes["requiredDuringSchedulingIgnoredDuringExecution"].is_null() && nodes.is_object(),
            "{nodes}"
        );
        let other = affinity(json!({ "podAntiAffinity": {} }));
        assert_eq!(patch(Some(&other), None), json!({ "nodeAffinity": null, "podAntiAffinity": {} }));
    }

    #[test]
    fn affinity_set_by_the_owner_stays() {
        let here = with_required_node(Some(&owners_affinity()), Some("here")).unwrap();
        let terms = here.node_affinity.clone().unwrap().required_during_scheduling_ignored_during_execution;
        for term in terms.unwrap().node_selector_terms {
            assert_eq!((term.match_expressions.unwrap().len(), term.match_fields.unwrap().len()), (1, 1));
        }
        assert_eq!(with_required_node(Some(&here), None), Some(owners_affinity()));
    }
}
