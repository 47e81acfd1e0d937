//! A pod whose node no longer reports, as the pod's own object shows it: no right to read nodes is needed.
//!
//! What runs in it may still run. So it counts as running until the kubelet has reported its end, or its object no longer
//! exists: Kubernetes deletes that by itself only if the node is declared out of service or its Node is deleted.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// How much longer than its grace period a pod may take to end: the kubelet kills its processes and unmounts its volumes.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// A pod that may still run although its node does not report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LostPod {
    /// By what that is known.
    pub loss: PodLoss,
    /// `namespace/name` of the pod.
    pod: String,
    node: String,
}

/// By what it is known that a pod is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PodLoss {
    /// Kubernetes has marked it because its node is not ready.
    NodeNotReady,
    /// It should have ended at this time.
    NotEnding(Timestamp),
}

/// Why the pod counts as lost, if it does.
#[must_use]
pub fn lost_pod(pod: &Pod, now: Timestamp) -> Option<LostPod> {
    let node = pod.spec.as_ref()?.node_name.clone()?;
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    let overdue = pod.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let overdue = overdue.filter(|end| now.duration_since(*end) >= PATIENCE);
    let loss = match overdue {
        Some(end) => PodLoss::NotEnding(end),
        None if is_marked(pod) => PodLoss::NodeNotReady,
        None => return None,
    };
    Some(LostPod { loss, pod: format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any()), node })
}

/// Whether a controller has set the pod's readiness instead of its kubelet, which derives it from that of the containers.
fn is_marked(pod: &Pod) -> bool {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    let is = |type_: &str, value: &str| {
        let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == type_ && condition.status == value)
    };
    gates.is_empty() && is("Ready", "False") && is("ContainersReady", "True")
}

impl fmt::Display for LostPod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loss, pod, node } = self;
        match loss {
            PodLoss::NodeNotReady => write!(f, "pod {pod} is on node {node}, which is not Ready")?,
            PodLoss::NotEnding(end) => write!(f, "pod {pod} on node {node} should have ended at {end:.0}")?,
        }
        write!(
            f,
            ": it may still run and use the volume, so nothing takes its place. That resolves itself when the node reports \
             again. If the node will not return, make sure that it is powered off, then run \"kubectl taint node {node} \
             node.kubernetes.io/out-of-service=nodeshutdown:NoExecute\": Kubernetes removes its pods and detaches their \
             volumes (docs/how-to/drain-nodes.md)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn loss(pod: Value) -> Option<PodLoss> {
        let pod = serde_json::from_value(pod).unwrap();
        lost_pod(&pod, "2026-11-20T10:05:00Z".parse().unwrap()).map(|lost| lost.loss)
    }

    /// On a node, with these conditions.
    fn pod(ready: &str, containers_ready: &str) -> Value {
        json!({
            "metadata": { "name": "orders-0", "namespace": "demo" },
            "spec": { "nodeName": "node-1", "containers": [] },
            "status": { "phase": "Running", "conditions": [
                { "type": "Ready", "status": ready }, { "type": "ContainersReady", "status": containers_ready },
            ] },
        })
    }

    fn with(mut pod: Value, part: &str, field: &str, value: Value) -> Value {
        pod[part][field] = value;
        pod
    }

    fn marked() -> Value {
        pod("False", "True")
    }

    #[rstest]
    #[case::ready(pod("True", "True"), false)]
    #[case::marked(marked(), true)]
    #[case::its_server_does_not_answer(pod("False", "False"), false)]
    #[case::marked_and_ended(with(marked(), "status", "phase", json!("Failed")), false)]
    #[case::waits_for_a_gate(
        with(marked(), "spec", "readinessGates", json!([{ "conditionType": "balancer.example/ready" }])),
        false
    )]
    #[case::not_scheduled(with(marked(), "spec", "nodeName", Value::Null), false)]
    fn pod_that_a_controller_has_marked_is_lost(#[case] pod: Value, #[case] expected: bool) {
        assert_eq!(loss(pod), expected.then_some(PodLoss::NodeNotReady));
    }

    #[rstest]
    #[case::in_its_grace_period("2026-11-20T10:05:30Z", "Running", false)]
    #[case::just_over("2026-11-20T10:04:30Z", "Running", false)]
    #[case::long_over("2026-11-20T10:03:59Z", "Running", true)]
    #[case::ended("2026-11-20T10:00:00Z", "Failed", false)]
    fn pod_that_does_not_end_is_lost(#[case] at: &str, #[case] phase: &str, #[case] expected: bool) {
        let deleted = with(pod("False", "False"), "metadata", "deletionTimestamp", json!(at));
        let expected = expected.then(|| PodLoss::NotEnding(at.parse().unwrap()));
        assert_eq!(loss(with(deleted, "status", "phase", json!(phase))), expected);
    }

    #[test]
    fn text_names_pod_node_and_remedy() {
        let lost = LostPod {
            loss: PodLoss::NodeNotReady,
            pod: "demo/orders-0".to_owned(),
            node: "node-1".to_owned(),
        };
        let text = lost.to_string();
        assert!(text.starts_with("pod demo/orders-0 is on node node-1, which is not Ready: "), "{text}");
        assert!(text.contains("kubectl taint node node-1 node.kubernetes.io/out-of-service="), "{text}");
        // Events and conditions cut longer texts, names may be long.
        assert!(text.len() < 600, "{}", text.len());
    }
}
