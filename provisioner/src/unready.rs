//! Why the server of a database is not ready: the reason of conditions, and what others report.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_api::{bounded, names};
use pgops_kube::pod_problem::{PodProblem, PodProblemCause};
use pgops_kube::{LostPod, PodLoss};

/// Longest text of another component, in bytes.
const MAX_TEXT: usize = 1024;

/// Why there is no server that is ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unready {
    /// Reason of a condition.
    pub reason: &'static str,
    pub message: String,
}

/// Reason: the StatefulSet's controller cannot create the pod.
pub const POD_REFUSED: &str = "PodRefused";

/// Reasons: the pod's node no longer reports, or the pod does not end.
const LOST: [&str; 2] = ["NodeNotReady", "PodNotEnding"];

/// Reason: the pod serves, and no Service sends clients to it.
const NOT_SELECTED: &str = "PodNotSelected";

impl Unready {
    /// Whether the server answers and no client of its Service reaches it.
    pub fn hides_the_server(&self) -> bool {
        self.reason == NOT_SELECTED
    }

    /// A pod whose label another client has changed, so that the Services do not select it.
    pub fn not_selected(pod: &Pod) -> Option<Self> {
        const KEY: &str = names::LABEL_ROLE;
        const ROLE: &str = names::ROLE_PRIMARY;
        let role = pod.labels().get(KEY).map_or("", String::as_str);
        let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
        (role != ROLE).then(|| Self {
            reason: NOT_SELECTED,
            message: bounded(
                format!(
                    "the server answers, but its Service does not select pod {name}, whose label {KEY} is \"{role}\" instead of \
                     \"{ROLE}\": kubectl -n {namespace} label pod {name} {KEY}={ROLE} --overwrite"
                ),
                MAX_TEXT,
                "",
            ),
        })
    }

    /// A pod that has ended, and whose object another controller keeps: the StatefulSet creates no other one before it is removed.
    pub fn held(pod: &Pod) -> Option<Self> {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let finalizers = pod.metadata.finalizers.as_deref().unwrap_or_default();
        let is_held = pod.metadata.deletion_timestamp.is_some()
            && matches!(phase, Some("Succeeded" | "Failed"))
            && !finalizers.is_empty();
        is_held.then(|| Self {
            reason: LOST[1],
            message: bounded(
                format!(
                    "pod {} has ended, is being deleted, and is kept by its finalizers: nothing takes its place until the \
                     controllers that have set them remove them: {}",
                    pod.name_any(),
                    finalizers.join(", ")
                ),
                MAX_TEXT,
                "",
            ),
        })
    }

    /// Whether its pod is lost: it may still run, and uses its volume.
    pub fn is_lost(&self) -> bool {
        LOST.contains(&self.reason)
    }

    /// The pod runs, and its instance says why the server does not answer.
    pub fn instance(reason: &str) -> Self {
        Self { reason: "NotReady", message: format!("the server does not answer: {reason}") }
    }
}

impl From<PodProblem> for Unready {
    fn from(problem: PodProblem) -> Self {
        let reason = match problem.cause {
            PodProblemCause::Refused => POD_REFUSED,
            PodProblemCause::Unschedulable => "PodUnschedulable",
            PodProblemCause::VolumeNotMounted => "VolumeNotMounted",
            PodProblemCause::Image => "ImageNotPulled",
            PodProblemCause::Configuration
            | PodProblemCause::Crash
            | PodProblemCause::Ended
            | PodProblemCause::Other => "ContainerNotStarted",
        };
        Self { reason, message: bounded(problem.message, MAX_TEXT, "") }
    }
}

impl From<LostPod> for Unready {
    fn from(lost: LostPod) -> Self {
        let reason = match lost.loss {
            PodLoss::NodeNotReady => LOST[0],
            PodLoss::NotEnding(_) => LOST[1],
        };
        Self { reason, message: lost.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pod_with_another_role_is_not_selected() {
        let pod = |labels| {
            let object = json!({ "metadata": { "name": "orders-0", "namespace": "demo", "labels": labels } });
            serde_json::from_value::<Pod>(object).unwrap()
        };
        assert_eq!(Unready::not_selected(&pod(json!({ "kubedb.com/role": "primary" }))), None);
        for labels in [json!({ "kubedb.com/role": "standby" }), json!({})] {
            let unready = Unready::not_selected(&pod(labels)).unwrap();
            assert!(unready.hides_the_server());
            let remedy = "kubectl -n demo label pod orders-0 kubedb.com/role=primary --overwrite";
            assert!(unready.message.ends_with(remedy), "{}", unready.message);
        }
    }

    #[test]
    fn pod_that_has_ended_and_is_kept_by_finalizers_is_told() {
        let pod = |deleted: Option<&str>, phase: &str, finalizers: &[&str]| {
            let metadata =
                json!({ "name": "orders-0", "deletionTimestamp": deleted, "finalizers": finalizers });
            let object = json!({ "metadata": metadata, "status": { "phase": phase } });
            serde_json::from_value::<Pod>(object).unwrap()
        };
        let (deleted, held) = (Some("2026-11-20T10:00:00Z"), ["mesh.example/drain"]);
        let unready = Unready::held(&pod(deleted, "Succeeded", &held)).unwrap();
        assert_eq!(unready.reason, "PodNotEnding");
        assert!(unready.message.ends_with("mesh.example/drain"), "{}", unready.message);
        assert_eq!(Unready::held(&pod(deleted, "Running", &held)), None, "its server still stops");
        assert_eq!(Unready::held(&pod(deleted, "Succeeded", &[])), None);
        assert_eq!(Unready::held(&pod(None, "Succeeded", &held)), None);
    }
}
