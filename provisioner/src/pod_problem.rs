//! Why the server of a database has no pod that runs: what the API server, the scheduler and the kubelet report.

use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use pgops_api::bounded;
use pgops_kube::observed::{container_statuses, last_observed};

/// Longest text of another component, in bytes.
const MAX_TEXT: usize = 1024;

/// Why a pod does not exist or does not run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PodProblem {
    /// Reason of a condition.
    pub reason: &'static str,
    /// Which pod, and what the component that prevents it reports.
    pub message: String,
}

impl PodProblem {
    /// The pod runs, and its instance says why the server does not answer.
    pub fn unready(reason: &str) -> Self {
        Self { reason: "NotReady", message: format!("the server does not answer: {reason}") }
    }
}

/// Reason: the StatefulSet's controller cannot create the pod.
pub const POD_REFUSED: &str = "PodRefused";
/// Reasons of Events on a StatefulSet about its pods.
const FAILED_CREATE: &str = "FailedCreate";
const SUCCESSFUL_CREATE: &str = "SuccessfulCreate";
/// Reasons of Events on a pod whose containers wait for a volume.
const VOLUME_EVENTS: [&str; 2] = ["FailedMount", "FailedAttachVolume"];

/// What prevents the StatefulSet's controller from creating the pod, according to the StatefulSet's Events.
pub fn creation_problem(workload: &ObjectMeta, events: &[Event]) -> Option<PodProblem> {
    let last = newest(workload, events, &[FAILED_CREATE, SUCCESSFUL_CREATE])?;
    (last.reason.as_deref() == Some(FAILED_CREATE)).then(|| PodProblem {
        reason: POD_REFUSED,
        message: format!("the pod cannot be created: {}", text(last.message.as_deref())),
    })
}

/// What prevents the pod from running, according to its status and its Events.
pub fn start_problem(pod: &Pod, events: &[Event]) -> Option<PodProblem> {
    scheduling_problem(pod).or_else(|| container_problem(pod)).or_else(|| volume_problem(pod, events))
}

fn scheduling_problem(pod: &Pod) -> Option<PodProblem> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let unscheduled =
        conditions.find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let detail = text(unscheduled.message.as_deref());
    let message = format!("pod {} cannot be scheduled: {detail}", pod.name_any());
    Some(PodProblem { reason: "PodUnschedulable", message })
}

fn container_problem(pod: &Pod) -> Option<PodProblem> {
    container_statuses(pod).find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let why = waiting.reason.as_deref()?;
        // What a pod passes through on its way.
        if ["ContainerCreating", "PodInitializing"].contains(&why) {
            return None;
        }
        let reason = if why.contains("Image") { "ImageNotPulled" } else { "ContainerNotStarted" };
        // The instance writes why it ended; the kubelet only that it ended.
        let ended = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
        let last_words = ended.and_then(|ended| ended.message.as_deref()).map(str::trim);
        let detail = last_words.filter(|text| !text.is_empty()).or(waiting.message.as_deref());
        let message = format!(
            "container {} of pod {} does not run: {why}: {}",
            container.name,
            pod.name_any(),
            text(detail)
        );
        Some(PodProblem { reason, message })
    })
}

/// The kubelet reports a volume that it cannot mount in Events only.
fn volume_problem(pod: &Pod, events: &[Event]) -> Option<PodProblem> {
    let starts = container_statuses(pod).any(|container| {
        container.state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    });
    if starts {
        return None;
    }
    let last = newest(&pod.metadata, events, &VOLUME_EVENTS)?;
    let message = format!("pod {} waits for a volume: {}", pod.name_any(), text(last.message.as_deref()));
    Some(PodProblem { reason: "VolumeNotMounted", message })
}

/// The newest Event with one of the reasons on exactly this object, and not on an earlier one of its name.
fn newest<'a>(object: &ObjectMeta, events: &'a [Event], reasons: &[&str]) -> Option<&'a Event> {
    let is_about = |event: &&Event| {
        object.uid.is_some()
            && event.involved_object.uid == object.uid
            && event.reason.as_deref().is_some_and(|reason| reasons.contains(&reason))
    };
    events.iter().filter(is_about).max_by_key(|event| last_observed(event))
}

fn text(text: Option<&str>) -> String {
    bounded(text.unwrap_or("no details"), MAX_TEXT, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn event(uid: &str, reason: &str, message: &str, second: u32) -> Event {
        serde_json::from_value(json!({
            "metadata": {},
            "involvedObject": { "uid": uid },
            "reason": reason,
            "message": message,
            "lastTimestamp": format!("2026-11-20T10:00:{second:02}Z"),
        }))
        .unwrap()
    }

    fn pod(status: &Value) -> Pod {
        let pod = json!({ "metadata": { "name": "orders-0", "uid": "p" }, "status": status });
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn pod_that_the_api_server_refuses_is_reported_until_one_is_created() {
        let workload = ObjectMeta { uid: Some("w".to_owned()), ..ObjectMeta::default() };
        let refused = "create Pod orders-0 in StatefulSet orders failed error: exceeded quota: q, requested: limits.cpu=1";
        let mut events = vec![
            event("w", "SuccessfulCreate", "create Claim", 1),
            event("w", "FailedCreate", refused, 2),
            event("earlier", "FailedCreate", "of an earlier StatefulSet", 3),
        ];
        let problem = creation_problem(&workload, &events).unwrap();
        assert_eq!(problem.reason, "PodRefused");
        assert!(
            problem.message.contains("exceeded quota: q, requested: limits.cpu=1"),
            "{}",
            problem.message
        );
        events.push(event("w", "SuccessfulCreate", "create Pod orders-0", 4));
        assert_eq!(creation_problem(&workload, &events), None);
        assert_eq!(creation_problem(&ObjectMeta::default(), &events), None);
    }

    #[rstest]
    #[case::unschedulable(
        json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient memory." }] }),
        "PodUnschedulable", "1 Insufficient memory"
    )]
    #[case::image(
        json!({ "initContainerStatuses": [waiting("install", "ImagePullBackOff", "Back-off pulling image")] }),
        "ImageNotPulled", "container install of pod orders-0 does not run: ImagePullBackOff: Back-off pulling"
    )]
    #[case::missing_key(
        json!({ "containerStatuses": [waiting("postgres", "CreateContainerConfigError", "couldn't find key")] }),
        "ContainerNotStarted", "couldn't find key"
    )]
    #[case::volume(
        json!({ "containerStatuses": [waiting("postgres", "PodInitializing", "")] }),
        "VolumeNotMounted", "secret \"orders-auth\" not found"
    )]
    fn pod_that_does_not_run_is_reported_with_the_cause(
        #[case] status: Value,
        #[case] reason: &str,
        #[case] detail: &str,
    ) {
        let failed = "MountVolume.SetUp failed for volume \"auth\" : secret \"orders-auth\" not found";
        let events = [event("p", "FailedMount", failed, 1)];
        let problem = start_problem(&pod(&status), &events).unwrap();
        assert_eq!(problem.reason, reason);
        assert!(problem.message.contains(detail), "{}", problem.message);
    }

    fn waiting(name: &str, reason: &str, message: &str) -> Value {
        json!({ "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": reason, "message": message } } })
    }

    #[test]
    fn crashing_container_is_reported_with_its_own_message() {
        let mut container = waiting("postgres", "CrashLoopBackOff", "back-off 5m0s");
        container["lastState"] =
            json!({ "terminated": { "exitCode": 1, "message": "failed to find PostgreSQL 17" } });
        let problem = start_problem(&pod(&json!({ "containerStatuses": [container] })), &[]).unwrap();
        assert!(
            problem.message.ends_with("CrashLoopBackOff: failed to find PostgreSQL 17"),
            "{}",
            problem.message
        );
    }

    #[test]
    fn running_pod_has_no_problem_that_it_had_before() {
        let running = json!({ "name": "postgres", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "state": { "running": {} } });
        let events = [event("p", "FailedMount", "timed out", 1)];
        assert_eq!(start_problem(&pod(&json!({ "containerStatuses": [running] })), &events), None);
        assert_eq!(start_problem(&pod(&json!({})), &[]), None, "it was just created");
    }
}
