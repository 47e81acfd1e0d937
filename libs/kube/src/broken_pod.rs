//! Pods that waiting does not bring up, as the kubelet reports them.

use k8s_openapi::api::core::v1::{ContainerStateWaiting, ContainerStatus, Pod};

use crate::observed::container_statuses;
use crate::pod_problem::{PodProblemCause, waiting_cause};

/// How often a container may end before its pod counts as broken.
const MAX_RESTARTS: i32 = 3;

/// What the kubelet reports of a pod that waiting does not bring up.
#[must_use]
pub fn broken_pod(pod: &Pod) -> Option<String> {
    container_statuses(pod).find_map(|container| {
        let waiting = waiting(container);
        let reason = waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or_default();
        let message = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or_default();
        if is_permanent(reason) {
            return Some(format!("container {}: {reason}: {message}", container.name));
        }
        // A running container may still become ready: recovery can take long.
        let runs = container.state.as_ref().is_some_and(|state| state.running.is_some());
        let count = container.restart_count;
        (count >= MAX_RESTARTS && !runs)
            .then(|| format!("container {} ended {count} times; its log says why", container.name))
    })
}

/// Whether the kubelet backs off, for up to five minutes, before it tries again to start a container of the pod.
#[must_use]
pub fn is_backing_off(pod: &Pod) -> bool {
    let mut reasons = container_statuses(pod).filter_map(|container| waiting(container)?.reason.as_deref());
    reasons.any(|reason| waiting_cause(reason) == Some(PodProblemCause::Crash) || is_permanent(reason))
}

/// Whether waiting does not fix the reason of a waiting container. One that crashes is judged by how often it has.
fn is_permanent(reason: &str) -> bool {
    matches!(waiting_cause(reason), Some(PodProblemCause::Image | PodProblemCause::Configuration))
}

fn waiting(container: &ContainerStatus) -> Option<&ContainerStateWaiting> {
    container.state.as_ref()?.waiting.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case::no_image(json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } }), 0, true)]
    #[case::between_restarts(json!({ "terminated": { "exitCode": 1 } }), 3, true)]
    #[case::restarted_and_runs(json!({ "running": {} }), 3, false)]
    #[case::starts(json!({ "waiting": { "reason": "PodInitializing" } }), 0, false)]
    fn pod_is_broken_if_waiting_does_not_bring_it_up(
        #[case] state: Value,
        #[case] restarts: i32,
        #[case] expected: bool,
    ) {
        let pod: Pod = serde_json::from_value(json!({ "status": { "containerStatuses": [{
            "name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": restarts, "state": state,
        }] } }))
        .unwrap();
        assert_eq!(broken_pod(&pod).is_some(), expected);
    }
}
