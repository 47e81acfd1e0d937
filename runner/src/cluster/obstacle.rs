//! For what the database's pod waits, in the words of who refuses: the API server through the StatefulSet's controller, the
//! scheduler, or the kubelet.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use pgops_api::{bounded, rollout};
use pgops_kube::pod_problem::{PodProblem, PodProblemCause, creation_problem, latest_warning, start_problem};
use pgops_kube::{PodLoss, lost_pod};

use super::pod;

/// The longest words of others that are passed on, in bytes.
const MAX_WORDS: usize = 1024;

/// Why a wait lasts: the reason of the condition `Waiting`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WaitReason {
    /// The workload was deleted.
    StatefulSetMissing,
    /// The API server refuses the pod: a quota, a policy, a webhook.
    DatabasePodRefused,
    /// It was not created yet, for an unknown reason.
    DatabasePodMissing,
    /// The scheduler finds no node.
    DatabasePodUnschedulable,
    /// The kubelet cannot attach or mount a volume.
    DatabaseVolumeNotMounted,
    /// The kubelet cannot start a container.
    DatabasePodNotStarted,
    /// The container runs, and its server does not answer yet.
    DatabaseServerNotReady,
    /// The pod still runs although it is to end.
    DatabasePodNotStopped,
    /// The pod's node no longer reports: the pod may still run.
    DatabaseNodeNotReady,
    /// The next pod would be refused, or would not start: the present one is not stopped.
    DatabaseRestartBlocked,
    /// Another process holds the interlock of the data.
    InterlockHeld,
    /// The servers of a database with standbys are not as they must be before the next pod is replaced.
    StandbysNotReady,
}

impl std::fmt::Display for WaitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// What keeps a wait from ending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Obstacle {
    pub reason: WaitReason,
    pub message: String,
}

impl Obstacle {
    fn new(reason: WaitReason, message: impl AsRef<str>) -> Self {
        Self { reason, message: bounded(message.as_ref(), MAX_WORDS, "") }
    }

    /// The members are not as they must be.
    #[must_use]
    pub fn members(obstacle: &rollout::Obstacle) -> Self {
        Self::new(WaitReason::StandbysNotReady, obstacle.to_string())
    }

    /// The provisioner has found out why the next pod would not take the place of the present one.
    #[must_use]
    pub fn restart_blocked(why: &str) -> Self {
        Self::new(WaitReason::DatabaseRestartBlocked, why)
    }

    /// Another process uses the data.
    #[must_use]
    pub fn interlock() -> Self {
        Self::new(
            WaitReason::InterlockHeld,
            "another process holds the interlock of the data: a server that is still stopping, or the worker of another \
             request",
        )
    }
}

/// What keeps the pod called `name` from answering, or from ending if it is being deleted. `events` are those of the workload
/// if there is no pod, else those of the pod.
pub(super) fn obstacle(
    name: &str,
    workload: Option<&StatefulSet>,
    pod: Option<&Pod>,
    events: &[Event],
    now: Timestamp,
) -> Obstacle {
    match (pod, workload) {
        (Some(pod), _) => of_pod(name, pod, events, now),
        (None, Some(workload)) => of_missing_pod(name, workload, events),
        (None, None) => Obstacle::new(
            WaitReason::StatefulSetMissing,
            format!("the StatefulSet of pod {name} does not exist: the provisioner has to create it again"),
        ),
    }
}

fn of_missing_pod(name: &str, workload: &StatefulSet, events: &[Event]) -> Obstacle {
    let controller = format!("StatefulSet {}", workload.name_any());
    match creation_problem(&controller, events, None) {
        Some(problem) => Obstacle::new(WaitReason::DatabasePodRefused, problem.message),
        None => Obstacle::new(
            WaitReason::DatabasePodMissing,
            format!("{controller} has not created pod {name} yet"),
        ),
    }
}

fn of_pod(name: &str, pod: &Pod, events: &[Event], now: Timestamp) -> Obstacle {
    if let Some(lost) = lost_pod(pod, now) {
        let reason = match lost.loss {
            PodLoss::NodeNotReady => WaitReason::DatabaseNodeNotReady,
            PodLoss::NotEnding(_) => WaitReason::DatabasePodNotStopped,
        };
        return Obstacle::new(reason, lost.to_string());
    }
    let detail = latest_warning(events).map(|warning| format!(": {}", words(warning))).unwrap_or_default();
    if let Some(since) = &pod.metadata.deletion_timestamp {
        let text = format!("pod {name} has not ended; it may take until {:.0}{detail}", since.0);
        return Obstacle::new(WaitReason::DatabasePodNotStopped, text);
    }
    if let Some(PodProblem { cause, message, .. }) = start_problem(pod, events) {
        return Obstacle::new(reason(cause), message);
    }
    if !pod::runs_server(pod) {
        return Obstacle::new(
            WaitReason::DatabasePodNotStarted,
            format!("pod {name} does not start yet{detail}"),
        );
    }
    let text = format!(
        "the server in pod {name} does not answer yet: it may be recovering, its log says so{detail}"
    );
    Obstacle::new(WaitReason::DatabaseServerNotReady, text)
}

fn reason(cause: PodProblemCause) -> WaitReason {
    match cause {
        PodProblemCause::Refused => WaitReason::DatabasePodRefused,
        PodProblemCause::Unschedulable => WaitReason::DatabasePodUnschedulable,
        PodProblemCause::VolumeNotMounted => WaitReason::DatabaseVolumeNotMounted,
        PodProblemCause::Image
        | PodProblemCause::Configuration
        | PodProblemCause::Crash
        | PodProblemCause::Ended
        | PodProblemCause::Other => WaitReason::DatabasePodNotStarted,
    }
}

fn words(event: &Event) -> String {
    let reason = event.reason.as_deref().unwrap_or("Warning");
    format!("{reason}: {}", event.message.as_deref().unwrap_or("no details"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "orders-0" }, "status": status })).unwrap()
    }

    fn event(reason: &str, message: &str, second: u32) -> Event {
        serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "type": "Warning", "reason": reason, "message": message,
            "lastTimestamp": format!("2026-11-20T10:00:{second:02}Z"),
        }))
        .unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-20T10:04:00Z".parse().unwrap()
    }

    fn of(pod: &Pod, events: &[Event]) -> (WaitReason, String) {
        let Obstacle { reason, message } = obstacle("orders-0", None, Some(pod), events, now());
        (reason, message)
    }

    fn container(state: &Value) -> Value {
        json!({ "containerStatuses": [{
            "name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        }] })
    }

    #[test]
    fn what_prevents_the_pod_is_passed_on() {
        let unschedulable = json!({ "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available",
        }] });
        assert_eq!(
            of(&pod(&unschedulable), &[event("FailedScheduling", "an older text", 1)]),
            (
                WaitReason::DatabasePodUnschedulable,
                "pod orders-0 cannot be scheduled: 0/3 nodes are available".to_owned()
            )
        );
        let waiting =
            |reason, message| container(&json!({ "waiting": { "reason": reason, "message": message } }));
        let (reason, message) = of(&pod(&waiting("ImagePullBackOff", "Back-off pulling image")), &[]);
        assert_eq!(reason, WaitReason::DatabasePodNotStarted);
        assert!(message.ends_with("ImagePullBackOff: Back-off pulling image"), "{message}");
        let mount =
            [event("BackOff", "older", 1), event("FailedMount", "secret \"orders-auth\" not found", 9)];
        let (reason, message) = of(&pod(&waiting("ContainerCreating", "")), &mount);
        assert_eq!(reason, WaitReason::DatabaseVolumeNotMounted);
        assert!(message.ends_with("secret \"orders-auth\" not found"), "{message}");
        let (reason, message) = of(&pod(&waiting("ContainerCreating", "")), &mount[..1]);
        assert_eq!(reason, WaitReason::DatabasePodNotStarted);
        assert_eq!(message, "pod orders-0 does not start yet: BackOff: older");
    }

    #[test]
    fn api_servers_words_about_a_pod_that_it_refuses_are_passed_on() {
        let workload: StatefulSet =
            serde_json::from_value(json!({ "metadata": { "name": "orders" } })).unwrap();
        let quota = [event("FailedCreate", "pods \"orders-0\" is forbidden: exceeded quota", 3)];
        let found = obstacle("orders-0", Some(&workload), None, &quota, now());
        assert_eq!(found.reason, WaitReason::DatabasePodRefused);
        assert!(found.message.ends_with("is forbidden: exceeded quota"), "{}", found.message);
        let reason = |workload| obstacle("orders-0", workload, None, &[], now()).reason;
        assert_eq!(reason(Some(&workload)), WaitReason::DatabasePodMissing);
        assert_eq!(reason(None), WaitReason::StatefulSetMissing);
    }

    #[test]
    fn running_server_and_ending_pod_are_told_apart() {
        let running = pod(&container(&json!({ "running": {} })));
        let (reason, message) = of(&running, &[event("Unhealthy", "Readiness probe failed", 1)]);
        assert_eq!(reason, WaitReason::DatabaseServerNotReady);
        assert!(!message.contains("probe"), "{message}");
        let mut ending = running;
        ending.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-20T10:05:00Z")).unwrap();
        let (reason, message) = of(&ending, &[event("FailedKillPod", "context deadline exceeded", 1)]);
        assert_eq!(reason, WaitReason::DatabasePodNotStopped);
        assert!(message.contains("until 2026-11-20T10:05:00Z: FailedKillPod"), "{message}");
    }

    #[test]
    fn pod_of_a_node_that_does_not_report_is_told_with_the_remedy() {
        let mut lost = pod(&json!({ "conditions": [
            { "type": "Ready", "status": "False" }, { "type": "ContainersReady", "status": "True" },
        ] }));
        lost.spec = serde_json::from_value(json!({ "nodeName": "node-1", "containers": [] })).unwrap();
        let (reason, message) = of(&lost, &[event("NodeNotReady", "Node is not ready", 1)]);
        assert_eq!(reason, WaitReason::DatabaseNodeNotReady);
        assert!(message.contains("on node node-1, which is not Ready"), "{message}");
        lost.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-20T10:02:00Z")).unwrap();
        let (reason, message) = of(&lost, &[]);
        assert_eq!(reason, WaitReason::DatabasePodNotStopped);
        assert!(message.contains("should have ended at 2026-11-20T10:02:00Z"), "{message}");
        assert!(message.contains("out-of-service"), "{message}");
    }
}
