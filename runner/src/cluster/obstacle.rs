//! For what the database's pod waits, in the words of who refuses: the API server through the StatefulSet's controller, the
//! scheduler, or the kubelet.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use pgops_api::bounded;
use pgops_kube::observed::{container_statuses, last_observed};

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
    /// Another process holds the interlock of the data.
    InterlockHeld,
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
) -> Obstacle {
    match (pod, workload) {
        (Some(pod), _) => of_pod(name, pod, events),
        (None, Some(workload)) => of_missing_pod(name, workload, events),
        (None, None) => Obstacle::new(
            WaitReason::StatefulSetMissing,
            format!("the StatefulSet of pod {name} does not exist: the provisioner has to create it again"),
        ),
    }
}

fn of_missing_pod(name: &str, workload: &StatefulSet, events: &[Event]) -> Obstacle {
    let set = workload.name_any();
    match latest_warning(events) {
        Some(warning) => Obstacle::new(
            WaitReason::DatabasePodRefused,
            format!("StatefulSet {set} cannot create pod {name}: {}", words(warning)),
        ),
        None => Obstacle::new(
            WaitReason::DatabasePodMissing,
            format!("StatefulSet {set} has not created pod {name} yet"),
        ),
    }
}

fn of_pod(name: &str, pod: &Pod, events: &[Event]) -> Obstacle {
    let warning = latest_warning(events);
    let detail = warning.map(|warning| format!(": {}", words(warning))).unwrap_or_default();
    if let Some(since) = &pod.metadata.deletion_timestamp {
        let text = format!("pod {name} has not ended; it may take until {:.0}{detail}", since.0);
        return Obstacle::new(WaitReason::DatabasePodNotStopped, text);
    }
    if let Some(scheduler) = unschedulable(pod) {
        let text = format!("pod {name} cannot be scheduled: {scheduler}");
        return Obstacle::new(WaitReason::DatabasePodUnschedulable, text);
    }
    if let Some(kubelet) = not_started(pod) {
        let text = format!("pod {name} does not start: {kubelet}");
        return Obstacle::new(WaitReason::DatabasePodNotStarted, text);
    }
    if !pod::runs_server(pod) {
        let reason = match warning.and_then(|warning| warning.reason.as_deref()) {
            Some("FailedMount" | "FailedAttachVolume" | "FailedMapVolume") => {
                WaitReason::DatabaseVolumeNotMounted
            }
            _ => WaitReason::DatabasePodNotStarted,
        };
        return Obstacle::new(reason, format!("pod {name} does not start yet{detail}"));
    }
    let text = format!(
        "the server in pod {name} does not answer yet: it may be recovering, its log says so{detail}"
    );
    Obstacle::new(WaitReason::DatabaseServerNotReady, text)
}

/// The scheduler's words.
fn unschedulable(pod: &Pod) -> Option<String> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let scheduled = conditions.find(|it| it.type_ == "PodScheduled" && it.status == "False")?;
    let reason = scheduled.reason.as_deref().unwrap_or("Unschedulable");
    Some(format!("{reason}: {}", scheduled.message.as_deref().unwrap_or("no node was found yet")))
}

/// The kubelet's words about a container that it cannot start, or that has ended.
fn not_started(pod: &Pod) -> Option<String> {
    container_statuses(pod).find_map(|container| {
        let name = &container.name;
        let waiting = pod::waiting(container);
        let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
        if let Some(reason) = reason.filter(|it| !["ContainerCreating", "PodInitializing"].contains(it)) {
            let message = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or("no details");
            return Some(format!("container {name}: {reason}: {message}"));
        }
        let ended = container.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
        Some(format!("container {name} has ended with exit status {}; its log says why", ended.exit_code))
    })
}

fn latest_warning(events: &[Event]) -> Option<&Event> {
    let warnings = events.iter().filter(|event| event.type_.as_deref() == Some("Warning"));
    // A failed probe says only that the server does not answer.
    let told = warnings.filter(|event| event.reason.as_deref() != Some("Unhealthy"));
    told.max_by_key(|event| last_observed(event))
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

    fn of(pod: &Pod, events: &[Event]) -> (WaitReason, String) {
        let Obstacle { reason, message } = obstacle("orders-0", None, Some(pod), events);
        (reason, message)
    }

    fn container(state: &Value) -> Value {
        json!({ "containerStatuses": [{
            "name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        }] })
    }

    #[test]
    fn schedulers_words_are_passed_on() {
        let (reason, message) = of(
            &pod(&json!({ "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
            }] })),
            &[event("FailedScheduling", "an older text", 1)],
        );
        assert_eq!(reason, WaitReason::DatabasePodUnschedulable);
        assert_eq!(
            message,
            "pod orders-0 cannot be scheduled: Unschedulable: 0/3 nodes are available: 3 node(s) didn't match Pod's node \
             affinity/selector."
        );
    }

    #[test]
    fn kubelets_words_about_a_container_are_passed_on() {
        let waiting =
            |reason, message| container(&json!({ "waiting": { "reason": reason, "message": message } }));
        let (reason, message) = of(&pod(&waiting("ImagePullBackOff", "Back-off pulling image")), &[]);
        assert_eq!(reason, WaitReason::DatabasePodNotStarted);
        assert!(
            message.ends_with("container postgres: ImagePullBackOff: Back-off pulling image"),
            "{message}"
        );
        let mount =
            [event("BackOff", "older", 1), event("FailedMount", "secret \"orders-auth\" not found", 9)];
        let (reason, message) = of(&pod(&waiting("ContainerCreating", "")), &mount);
        assert_eq!(reason, WaitReason::DatabaseVolumeNotMounted);
        assert!(message.ends_with("FailedMount: secret \"orders-auth\" not found"), "{message}");
        let ended = container(&json!({ "terminated": { "exitCode": 1 } }));
        assert!(of(&pod(&ended), &[]).1.contains("has ended with exit status 1"));
    }

    #[test]
    fn api_servers_words_about_a_pod_that_it_refuses_are_passed_on() {
        let workload: StatefulSet =
            serde_json::from_value(json!({ "metadata": { "name": "orders" } })).unwrap();
        let quota = [event("FailedCreate", "pods \"orders-0\" is forbidden: exceeded quota", 3)];
        let found = obstacle("orders-0", Some(&workload), None, &quota);
        assert_eq!(found.reason, WaitReason::DatabasePodRefused);
        assert!(found.message.ends_with("is forbidden: exceeded quota"), "{}", found.message);
        assert_eq!(obstacle("orders-0", Some(&workload), None, &[]).reason, WaitReason::DatabasePodMissing);
        assert_eq!(obstacle("orders-0", None, None, &[]).reason, WaitReason::StatefulSetMissing);
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
}
